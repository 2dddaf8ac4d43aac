"""marimo's runtime: the graph, runs, UI elements and the display of marimo's objects, behind `interface`.

`engine` implements the interface with marimo's kernel, `marimo_kernel`; `patches` lists what is replaced in marimo, and
`supported_api` refuses versions of marimo that this package does not support. marimo's file format is in
`marimo_format`. Importing this package imports nothing: marimo takes about a second to import, and the kernel opens
its sockets first.
"""
