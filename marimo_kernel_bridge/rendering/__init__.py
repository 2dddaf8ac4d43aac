"""marimo's custom elements as HTML and text that need no marimo frontend.

marimo objects give HTML with elements like `<marimo-slider data-start='1' …>`, which only marimo's JavaScript can
draw. Here they become what any Jupyter front end shows. Pure: knows neither marimo nor Jupyter; what an element is
worth *now* is asked of a `Look` that the caller passes in.
"""
