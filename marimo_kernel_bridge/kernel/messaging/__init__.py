"""Jupyter messages of the kernel: streams, queue, subshells, interrupts and replies."""
