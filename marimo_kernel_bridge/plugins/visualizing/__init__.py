"""`cell_visualize`, the plugin that is part of this package: a variable's table as a chart, a table or a graph.

It uses the public interface of plugins alone, as one of others does.
"""
