"""The one way a computation's inputs and results become bytes (X-09).

Whoever computes the same again gets the same bytes, and so the same digest: ids are
derived from what they name, lists are sorted, and nothing tells when it was computed.
"""

from __future__ import annotations

import hashlib

import msgspec

_encode = msgspec.json.Encoder(order="deterministic").encode

ID_CHARS = 32


def canonical(value: msgspec.Struct) -> bytes:
    """A frozen Struct as bytes: fields in their order, keys sorted."""
    return _encode(value)


def digest(data: bytes) -> bytes:
    """SHA-256: 32 bytes."""
    return hashlib.sha256(data).digest()


def derived_id(*parts: str) -> str:
    """An id made of what it names, 32 hex characters: computed again, it is the same."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:ID_CHARS]
