"""Trees: the shape of RFC 6962, and that a path proves its leaf and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.evidence import merkle
from kabao.vault.ops import sm3

counts = st.integers(1, 70)


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf(b"%d" % n) for n in range(count)]


def test_small_trees_by_hand() -> None:
    a, b, c = leaves(3)
    assert a == sm3(b"\x000")
    assert merkle.root([a]) == a
    ab = sm3(b"\x01" + a + b)
    assert merkle.root([a, b]) == ab
    assert merkle.root([a, b, c]) == sm3(b"\x01" + ab + c)
    assert merkle.path([a, b, c], 2) == [ab]
    assert merkle.path([a, b, c], 0) == [b, c]


@given(counts, st.data())
def test_a_path_leads_to_the_root(count: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, count - 1))
    all_ = leaves(count)
    path = merkle.path(all_, place)
    assert len(path) <= max(count - 1, 0).bit_length()
    assert merkle.climb(all_[place], place, count, path) == merkle.root(all_)


@given(st.integers(2, 70), st.data())
def test_nothing_else_leads_there(count: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, count - 1))
    all_ = leaves(count)
    path, root = merkle.path(all_, place), merkle.root(all_)
    for other in {*range(-1, count + 1)} - {place}:
        assert merkle.climb(all_[place], other, count, path) != root
    assert merkle.climb(merkle.leaf(b"x"), place, count, path) != root
    assert merkle.climb(all_[place], place, count, path[:-1]) != root
    assert merkle.climb(all_[place], place, count, [*path, path[0]]) != root
    n = data.draw(st.integers(0, len(path) - 1))
    assert merkle.climb(all_[place], place, count, [*path[:n], root, *path[n + 1 :]]) != root


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_node_is_no_leaf(count: int) -> None:
    """The text of a node, given as a leaf, has another digest: the prefixes differ."""
    a, b = leaves(2)
    assert merkle.leaf(a + b) != merkle.root([a, b])
    assert merkle.climb(a, 0, count, []) == (a if count == 1 else None)
