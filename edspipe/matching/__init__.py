"""Finding terms and patterns in a Doc, on a normalised view of its text.

`text_view` normalises and knows the way back, `phrases` finds terms, `regex` finds patterns.
"""
