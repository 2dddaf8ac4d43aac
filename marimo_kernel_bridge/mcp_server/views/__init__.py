"""Answers computed from what a kernel or a file tells."""
