"""Training of models on plain text, before there are annotations."""
