"""What keeps a process start cheap: pauses of garbage collection and lazy imports."""
