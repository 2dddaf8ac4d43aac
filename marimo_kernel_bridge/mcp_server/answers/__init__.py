"""Answers of the tools as values and as text."""
