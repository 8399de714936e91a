"""spaCy's own files."""
