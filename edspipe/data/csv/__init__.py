"""Tables of text: csv and tsv."""
