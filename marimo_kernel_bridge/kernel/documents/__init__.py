"""The documents that people have open in front ends, and what agents want changed there."""
