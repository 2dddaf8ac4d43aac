"""marimo's dataflow graph, with indexes for large notebooks."""
