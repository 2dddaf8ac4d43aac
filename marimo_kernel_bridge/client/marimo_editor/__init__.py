"""marimo's own editor as a kernel: notebooks of a running `marimo edit`, through the host API of its server.

`host` finds the servers and sends them requests, `events` and `records` read their stream, `mirror` is the notebook as the
stream tells it, `answers` and `edits` translate between it and the bridge protocol, `scratch` is the code that runs in
marimo's kernel, and `channels` joins all that to what a link expects of a kernel. Imports no marimo.
"""
