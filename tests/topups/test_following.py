"""A recall finds its value wherever it was moved, and nothing else: frozen + owed = recalled."""

from __future__ import annotations

from datetime import date
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from kabao.ledger.lots import LotLeft
from kabao.ledger.model import Lot
from kabao.ledger.passages import Passage
from kabao.ledger.posting import StoredLot
from kabao.topups.model.following import Key, Known, Place, places

START = ("a", "lot")


def lot(key: Key, fen: int, left: int, *gone: tuple[Key, int]) -> Known:
    stored = StoredLot(*key[:1], 1, key[1], Lot(fen, 0, fen, date(2026, 1, 1), None, None, "qr"))
    passages = tuple(Passage(1, False, part, *to) for to, part in gone)
    return Known(LotLeft(stored, left, 0), passages)


def test_what_was_moved_twice_is_found() -> None:
    b, c = ("b", "x"), ("c", "y")
    known = {
        START: lot(START, 100, 10, (b, 60)),
        b: lot(b, 200, 120, (c, 80)),  # 140 of others were moved into it
        c: lot(c, 80, 50),
    }
    assert places(known, START) == [
        Place("a", "lot", 10, 0),
        Place("b", "x", 60, 0),
    ]


def test_what_came_by_two_ways_is_found_once() -> None:
    b, c, d = ("b", "x"), ("c", "y"), ("d", "z")
    known = {
        START: lot(START, 100, 0, (b, 50), (c, 50)),
        b: lot(b, 50, 0, (d, 50)),
        c: lot(c, 50, 0, (d, 50)),
        d: lot(d, 100, 70),
    }
    found = {place.lot: place.principal_fen for place in places(known, START)}
    assert found == {"lot": 0, "x": 0, "y": 0, "z": 70}


def test_what_arrived_as_no_lot_is_not_found() -> None:
    known = {START: lot(START, 100, 10, (("b", "x"), 90))}
    assert places(known, START) == [Place("a", "lot", 10, 0)]


@st.composite
def families(draw: st.DrawFn) -> dict[Key, Known]:
    """Value that is moved on, spent and mixed at random."""
    whole = draw(st.integers(1, 1_000))
    names = count(1)
    left = {START: whole}
    gone: dict[Key, list[tuple[Key, int]]] = {START: []}
    size = {START: whole}
    for _ in range(draw(st.integers(0, 12))):
        giver = draw(st.sampled_from(sorted(left)))
        part = draw(st.integers(0, left[giver]))
        left[giver] -= part
        if part and draw(st.booleans()):  # else it was spent
            to = (draw(st.sampled_from("abc")), f"lot{next(names)}")
            others = draw(st.integers(0, 100))
            left[to], size[to], gone[to] = part + others, part + others, []
            gone[giver].append((to, part))
    return {key: lot(key, size[key], left[key], *gone[key]) for key in left}


@given(families())
def test_never_more_than_was_loaded_nor_than_is_there(known: dict[Key, Known]) -> None:
    found = places(known, START)
    assert sum(place.principal_fen for place in found) <= known[START].left.lot.lot.principal_fen
    for place in found:
        assert 0 <= place.principal_fen <= known[place.root, place.lot].left.principal_fen


@given(families())
def test_all_of_it_where_nothing_was_spent_or_mixed(known: dict[Key, Known]) -> None:
    whole = known[START].left.lot.lot.principal_fen
    pure = {
        key: lot(
            key,
            one.left.lot.lot.principal_fen,
            one.left.lot.lot.principal_fen - sum(p.amount_fen for p in one.passages),
            *(((p.root, p.op), p.amount_fen) for p in one.passages),
        )
        for key, one in known.items()
    }
    assert sum(place.principal_fen for place in places(pure, START)) == whole
