"""Where the records of a training go: one logger a file."""
