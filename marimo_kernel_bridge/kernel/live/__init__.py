"""marimo's own elements on pages: who shows them, the messages from and to them, and what carries these.

`page` is what runs on the page. marimo's side (HTML, values, files of its front end) is `runtime.live`.
"""
