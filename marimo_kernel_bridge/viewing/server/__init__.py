"""The server of views' pages, on the loopback of this machine."""
