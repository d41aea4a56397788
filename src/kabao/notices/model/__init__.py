"""What is told, to whom, and when again."""

from __future__ import annotations

from kabao.vault.model import RewrapTarget

REWRAP_TARGETS = (
    RewrapTarget("notices", "endpoint", "id", "secret"),
    RewrapTarget("notices", "endpoint", "id", "old_secret"),
    RewrapTarget("notices", "follower", "customer", "openid"),
)
"""Sealed columns, for the rotation of keys."""
