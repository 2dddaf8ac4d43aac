"""IPython inside the kernel: shell, magics and history."""
