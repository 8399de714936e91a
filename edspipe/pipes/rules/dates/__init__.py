"""Dates, times, durations and frequencies: words to codes, forms over codes, values.

`lexicon` turns a text into one character a token, `forms` compiles what the language's file says
into patterns over these characters, `finder` runs them, `builders` makes values of what was found,
`periods` joins two dates, and `dates` and `consultation_dates` are the pipes.
"""
