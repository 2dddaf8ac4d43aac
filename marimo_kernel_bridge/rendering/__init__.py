"""marimo's custom elements as HTML and text that do not need marimo's frontend.

The HTML of marimo's objects contains elements like `<marimo-slider data-start='1' …>`, which only marimo's JavaScript
can render. This package converts them to HTML that any Jupyter front end shows. Pure: imports neither marimo nor
Jupyter; current values of elements come from the `Page` that the caller passes.
"""
