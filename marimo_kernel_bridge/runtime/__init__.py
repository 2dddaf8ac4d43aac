"""The only package that imports marimo, whose runtime is private API and moves.

`engine` embeds marimo's kernel behind the `Runtime` protocol of `dataflow.py`; `convert` is marimo's .ipynb
converter; `versions` refuses a marimo that the contract tests have not seen. Importing this package imports nothing:
marimo takes about a second, and the kernel answers its sockets first.
"""
