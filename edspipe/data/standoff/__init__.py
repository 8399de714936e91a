"""brat's standoff format: folders of `.txt` and `.ann` files.

From the inside out: `format` (lines), `parse` (a file, checked), `record` (plain data), `render`
(records to lines), `files` (folders), `writer`, and `streams`: `read_standoff` and
`write_standoff`. Records become Docs, and Docs records, in `docs`.
"""
