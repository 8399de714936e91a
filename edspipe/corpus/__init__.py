"""Corpora: their labels, their sides, and what is in them. Neither torch nor files of documents."""
