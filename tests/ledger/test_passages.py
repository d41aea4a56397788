"""Where value of a load went that was moved to other cards."""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kabao.ledger.lots import Piece
from kabao.ledger.model import Account, Purpose, Transfer
from kabao.ledger.passages import Passage, passages


def moved(
    root: str, seq: int, op: str, fen: int, *, out: bool, related: str | None = None
) -> Transfer:
    own, transit = Account.PRINCIPAL, Account.TRANSIT
    return Transfer(
        root, seq, op, related, own if out else transit, transit if out else own, "i", fen, "CNY",
        0, 0, 0, Purpose.MERGE, "i", None, None, None, None, None, None, 0, 0, date(2026, 11, 22),
    )  # fmt: skip


def test_a_merge_goes_load_by_load() -> None:
    out = moved("a", 9, "out", 60, out=True)
    spent = [Piece(9, 3, False, 10), Piece(9, 1, False, 50)]  # taken last in, first out
    came = [moved("b", n, op, fen, out=False, related="out") for n, op, fen in
            ((1, "first", 50), (2, "second", 10))]  # fmt: skip
    assert passages(spent, [out], came) == [
        Passage(1, False, 50, "b", "first"),
        Passage(3, False, 10, "b", "second"),
    ]


def test_a_refund_that_went_to_a_new_card_shares_its_payment() -> None:
    outs = [moved("a", n, f"o{n}", 40, out=True, related="pay") for n in (5, 7)]
    spent = [Piece(5, 1, False, 40), Piece(7, 1, False, 30), Piece(7, None, False, 10)]
    came = [moved(f"new{n}", 1, f"in{n}", 40, out=False, related="pay") for n in (5, 7)]
    assert passages(spent, outs, came) == [
        Passage(1, False, 40, "new5", "in5"),
        Passage(1, False, 30, "new7", "in7"),
    ]


@given(st.lists(st.integers(1, 100), min_size=1, max_size=8), st.data())
def test_every_fen_arrives_once(lots: list[int], data: st.DataObject) -> None:
    whole = sum(lots)
    cuts = sorted(data.draw(st.sets(st.integers(1, whole), max_size=5)) | {0, whole})
    spent = [Piece(9, lot, False, fen) for lot, fen in enumerate(lots, 1)]
    came = [
        moved("b", n, f"in{n}", to - since, out=False, related="out")
        for n, (since, to) in enumerate(pairwise(cuts))
    ]
    made = passages(spent, [moved("a", 9, "out", whole, out=True)], came)
    by_lot, by_op = Counter[int](), Counter[str]()
    for one in made:
        by_lot[one.lot] += one.amount_fen
        by_op[one.op] += one.amount_fen
    assert dict(by_lot) == dict(enumerate(lots, 1))
    assert by_op == {one.op: one.amount_fen for one in came}
