"""Quantities: numbers, their units, and what they measure.

`units` knows units and converts, `numbers` reads numbers, `lexicon` compiles the words of a
language, `finder` joins numbers into quantities and reads what stands around them, `cells` does so
for tables, `value` is what a quantity says, and `quantities` is the pipe.
"""
