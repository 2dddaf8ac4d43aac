"""The kernel's side of checkpoints: values as streams of bytes and back, and what of the session is kept."""
