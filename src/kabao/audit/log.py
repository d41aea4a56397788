"""The log of receipts, computed a second time from docs/operating/receipts.md alone. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

_LOCAL = ZoneInfo("Asia/Shanghai")


def can_hash() -> bool:
    """Whether this Python's OpenSSL knows SM3."""
    return "sm3" in hashlib.algorithms_available


def sm3(text: bytes) -> bytes:
    """The SM3 digest."""
    return hashlib.new("sm3", text).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over digests of leaves: two subtrees of one size become one, as in a counter."""
    whole: list[tuple[int, bytes]] = []
    for leaf in leaves:
        size, digest = 1, leaf
        while whole and whole[-1][0] == size:
            digest = sm3(b"\1" + whole.pop()[1] + digest)
            size *= 2
        whole.append((size, digest))
    digest = whole.pop()[1]
    while whole:
        digest = sm3(b"\1" + whole.pop()[1] + digest)
    return digest


def head(tree: Mapping[str, Any]) -> bytes:
    """The digest of a head, which the next one names."""
    signed_at = tree["signed_at"].astimezone(_LOCAL).isoformat(timespec="microseconds")
    lines = (
        "kabao-evidence-head-1",
        f"no: {tree['no']}",
        f"leaves: {tree['leaves']}",
        f"root: {tree['root'].hex()}",
        f"previous: {tree['previous'].hex()}",
        f"signed_at: {signed_at}",
        f"key: {tree['key']}",
    )
    return sm3("".join(f"{line}\n" for line in lines).encode())


def wrong(tree: Mapping[str, Any], no: int, previous: bytes) -> str | None:
    """What is wrong with a tree that should be this number and name this head."""
    if tree["no"] != no:
        return f"follows number {no - 1}"
    if tree["previous"] != previous:
        return "does not name the head before it"
    if tree["places"] != list(range(tree["leaves"])):
        return f"has {len(tree['places'])} leaves and says {tree['leaves']}"
    if root(tree["digests"]) != tree["root"]:
        return "its leaves do not give its root"
    return None
