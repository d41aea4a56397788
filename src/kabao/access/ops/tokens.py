"""Bearer tokens: API keys, sessions, invitations.

A token is `kb_<kind>_` and 40 characters of base 62 from a CSPRNG. The first
8 are its hint: they are shown in lists, so that a leaked token can be told from
the others and revoked. The other 32 carry 190 random bits, which nobody can
search through; so SHA-256 at rest is enough, and a slow or keyed hash would
cost every request time and buy nothing (reliability.md ATK-2).
"""

from __future__ import annotations

import hashlib
import secrets
from enum import StrEnum
from string import ascii_letters, digits

import msgspec

_SIGNS = digits + ascii_letters
HINT, SECRET = 8, 32


class TokenKind(StrEnum):
    """What a token opens."""

    KEY = "live"
    SESSION = "ses"
    INVITATION = "inv"


class Token(msgspec.Struct, frozen=True):
    """A fresh token: the text is shown once, the hash is stored."""

    text: str
    hint: str
    hash: bytes

    def __repr__(self) -> str:
        return f"<Token {self.hint}>"


_PREFIXES = {kind: f"kb_{kind}_" for kind in TokenKind}
_LENGTH = {kind: len(prefix) + HINT + SECRET for kind, prefix in _PREFIXES.items()}


def fresh(kind: TokenKind) -> Token:
    """A token nobody has seen."""
    body = "".join([secrets.choice(_SIGNS) for _ in range(HINT + SECRET)])
    text = _PREFIXES[kind] + body
    return Token(text, body[:HINT], token_hash(text))


def token_hash(text: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(text.encode()).digest()


def kind_of(text: str) -> TokenKind | None:
    """What kind of token this could be; None when it is none of ours."""
    for kind, prefix in _PREFIXES.items():
        if text.startswith(prefix) and len(text) == _LENGTH[kind]:
            return kind
    return None
