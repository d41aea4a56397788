"""Statements of `funding`.

`channels`, `routing`, `collections`, `refunds`, `notices`, `receipts`, `bills`.
"""
