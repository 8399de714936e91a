"""Clinical words as data: a folder a language (`en`, `fr`, `es`), the same file names in each.

No algorithm lives here. `words.load_words` reads a file, `schema.SCHEMAS` says what it may hold.
"""
