"""Disorders and habits: terms, what excludes them, and a status."""
