"""Statements of clearing, by subject."""
