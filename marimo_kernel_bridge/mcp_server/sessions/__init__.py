"""Sessions in the MCP process: which there are, their kernels, and the writing of their files."""
