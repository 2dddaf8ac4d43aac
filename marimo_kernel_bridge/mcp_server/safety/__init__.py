"""Redaction and the audit log."""
