"""What writing to files has in common: staging, commits, receipts, going on after a kill."""
