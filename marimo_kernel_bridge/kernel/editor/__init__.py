"""The notebook in marimo's own editor: what the editor is told, and what a person does there."""
