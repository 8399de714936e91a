"""CoNLL, CoNLL-U and CoNLL-U Plus: a word a line."""
