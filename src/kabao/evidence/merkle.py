"""Merkle trees as in RFC 6962, section 2.1, over SM3: pure.

    leaf  SM3(0x00 | text)          node  SM3(0x01 | left | right)

The two prefixes keep a node from passing for a leaf. A tree of n leaves has on
its left the largest power of two below n; so a tree has one shape only.
"""

from __future__ import annotations

from collections.abc import Sequence

from kabao.vault.ops import sm3


def leaf(text: bytes) -> bytes:
    """The digest of a leaf."""
    return sm3(b"\0" + text)


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over digests of leaves, at least one."""
    if len(leaves) == 1:
        return leaves[0]
    left = _left(len(leaves))
    return _node(root(leaves[:left]), root(leaves[left:]))


def path(leaves: Sequence[bytes], place: int) -> list[bytes]:
    """What stands beside the way from a leaf to the root, from the leaf up."""
    if len(leaves) == 1:
        return []
    left = _left(len(leaves))
    if place < left:
        return [*path(leaves[:left], place), root(leaves[left:])]
    return [*path(leaves[left:], place - left), root(leaves[:left])]


def climb(digest: bytes, place: int, count: int, beside: Sequence[bytes]) -> bytes | None:
    """The root that a leaf and its path give; None for a path of the wrong length."""
    if not 0 <= place < count:
        return None
    if count == 1:
        return None if beside else digest
    if not beside:
        return None
    left, last = _left(count), beside[-1]
    if place < left:
        below = climb(digest, place, left, beside[:-1])
        return None if below is None else _node(below, last)
    below = climb(digest, place - left, count - left, beside[:-1])
    return None if below is None else _node(last, below)


def _left(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def _node(left: bytes, right: bytes) -> bytes:
    return sm3(b"\1" + left + right)
