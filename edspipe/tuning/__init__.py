"""Tuning: many trainings, each with other settings, in search of the best ones."""
