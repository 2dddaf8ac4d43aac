"""Outputs for models: text, pictures and charts."""
