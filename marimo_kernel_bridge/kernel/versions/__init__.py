"""Versions of names and values, which allow cells to redefine names and mutate values."""
