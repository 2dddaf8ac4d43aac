"""Values of marimo's UI elements and widgets."""
