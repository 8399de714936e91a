"""The command line: each command reads its arguments, then calls a plain function."""
