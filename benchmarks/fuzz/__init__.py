"""Damaged files for the readers: only an error that names the file may come out."""
