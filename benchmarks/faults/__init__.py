"""The fault matrix: what tools do when a worker dies, a disk is full, or a caller walks away.

python -m benchmarks.faults --peer-python PATH --out docs/fault_matrix.md

run.py          the command line: which tool meets which fault, what is kept
faults.py       the faults, and the function that brings them about
child.py        the process that meets one fault with one tool
*_side.py       how each tool is called; the only files that know a tool
measure.py      what is seen from outside: times, documents, processes, files
table.py        measurements as a page
events.py       the log that all processes of a run write to
"""
