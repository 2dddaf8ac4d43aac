"""The notebook of record: requests, graph admission, execution and edits."""
