"""Answers computed from the state of a kernel or a file."""
