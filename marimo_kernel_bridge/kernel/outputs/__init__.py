"""Outputs of cells: where each one goes and how each front end shows it."""
