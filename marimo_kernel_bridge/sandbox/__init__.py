"""What bounds a kernel's process from outside of its code: engines, the sockets that they hand over, the proxy for lists of hosts.

`entering.enter` is called by a kernel that was started with `--sandbox`, before anything of it is imported and before it has
a thread. Imports neither marimo nor ipykernel, except `handed_sockets`, when the kernel takes them. Linux only.
"""
