"""marimo's own front end for its UI elements: its files, the HTML of what cells show, and values both ways.

Imported when the first element is shown on a page. `kernel.live` talks to the pages.
"""
