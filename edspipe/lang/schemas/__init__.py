"""What the word files may hold: a module a file name, listed in `edspipe.lang.schema`."""
