"""Warm pools: a process that forks kernels which have already imported their packages."""
