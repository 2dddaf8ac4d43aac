"""The kernel process: cells, their order, outputs and messages."""
