"""Streams on worker processes.

In main: `executor` (what runs where) -> `ahead` (input read ahead, results in order, `journal`) ->
`pool` (the loop over all workers: `crew`, `deadlines`, `poison`; `tasks` has the rules for deaths).
Between: `process` starts workers, `channel` carries frames (`memory`, `parcels`, `messages`), and
`hand` is a word of memory that tells what a worker is busy with. In a worker: `worker` and `mail`.
`server` keeps Python's fork server tidy.
"""
