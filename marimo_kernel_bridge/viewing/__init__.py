"""Views of tables: the data, the state of each view, the pages that show them.

Imported by the process that holds the data: a kernel, or the viewer of files. Never by the MCP server's.
"""
