"""Verification of an import: whether the result shows what the original shows, at first, again, and after edits."""
