"""Statements of `funding`: `channels`, `collections`, `refunds`, `notices`, `receipts`."""
