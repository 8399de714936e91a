"""Training and inference of edspipe, a bare PyTorch loop and EDS-NLP, alternately in one run.

Each side is a process of its own with its own interpreter, built once; the parent gives them turns
on the same texts, so that whatever else the machine does slows all of them.
"""
