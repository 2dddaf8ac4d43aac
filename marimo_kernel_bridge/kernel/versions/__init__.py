"""Versions of names and values, so that cells may redefine and change them."""
