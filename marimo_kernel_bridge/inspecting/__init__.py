"""Descriptions of values and packages of the running Python, for people and agents."""
