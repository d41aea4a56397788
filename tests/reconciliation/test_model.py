"""Rules of reconciliation: the gate at its thresholds, what a break is worth, rounds as data."""

from __future__ import annotations

import re

import pytest

from kabao.reconciliation.model.breaks import Break, BreakState, Class, Correction
from kabao.reconciliation.model.gate import ZERO, GateRule, Part, judged
from kabao.reconciliation.model.lines import LineKind
from kabao.reconciliation.model.rounds import Key, Round, load

from .world import COMPANY, DAY, SUBJECT


@pytest.mark.parametrize(
    ("breaks", "lines", "open_"),
    [
        (0, 0, False),
        (2, 10, False),
        (3, 10, True),
        (3, 29_999, True),
        (3, 30_000, False),
        (10, 99_999, True),
        (10, 100_000, False),
        (11, 100_000, True),
    ],
)
def test_the_gate_is_a_rate_with_a_least_count(breaks: int, lines: int, open_: bool) -> None:
    assert GateRule(bp=1, from_count=3).keeps_open(breaks, lines) is open_


def test_our_own_books_may_not_differ_at_all() -> None:
    assert not ZERO.keeps_open(0, 1_000_000)
    assert ZERO.keeps_open(1, 1_000_000)


def test_a_part_is_open_until_it_is_there_and_finished() -> None:
    rule = GateRule(1, 3)

    def reason(run: str | None, *, finished: bool, open_: int = 0) -> str | None:
        part = Part("channel", SUBJECT, COMPANY, DAY, run, finished, 10, open_)
        found = judged(part, rule)
        return None if found is None else found.reason

    assert reason(None, finished=False) == "not_there"
    assert reason("r", finished=False) == "not_matched"
    assert reason("r", finished=True, open_=3) == "too_many_breaks"
    assert reason("r", finished=True, open_=2) is None


def found(cls: Class, kind: LineKind, ours: int | None, theirs: int | None) -> Break:
    return Break(
        id="1",
        run="2",
        no=1,
        cls=cls,
        kind=kind,
        source_no=1,
        our_no="",
        our_sub_no="",
        their_no="",
        original_no="",
        ours_fen=ours,
        theirs_fen=theirs,
        ours_fee_mfen=None,
        theirs_fee_mfen=None,
        ours_status=None if ours is None else "done",
        theirs_status=None if theirs is None else "done",
        ours_day=DAY,
        currency="CNY",
        state=BreakState.OPEN,
        why=None,
    )


@pytest.mark.parametrize(
    ("cls", "kind", "ours", "theirs", "fen"),
    [
        (Class.MISSING_HERE, LineKind.PAY, None, 500, 500),
        (Class.MISSING_HERE, LineKind.REFUND, None, 500, -500),
        (Class.MISSING_THERE, LineKind.PAY, 500, None, -500),
        (Class.AMOUNT, LineKind.PAY, 500, 400, -100),
        (Class.AMOUNT, LineKind.REFUND, 500, 400, 100),
        (Class.DUPLICATE, LineKind.PAY, None, 500, 500),
        (Class.WRONG_DAY, LineKind.PAY, 500, 500, 0),
        (Class.FEE, LineKind.PAY, 500, 500, 0),
        (Class.CURRENCY, LineKind.PAY, 500, 70, 0),
    ],
)
def test_what_a_break_is_worth_and_what_is_proposed(
    cls: Class, kind: LineKind, ours: int | None, theirs: int | None, fen: int
) -> None:
    one = found(cls, kind, ours, theirs)
    assert one.difference_fen == fen
    assert one.proposed is (Correction.SUSPEND if fen else Correction.ACCEPT)
    assert re.match(r"[A-Z].*\.$", one.explanation)


def test_rounds_pair_by_what_identifies() -> None:
    rounds = load()
    assert set(rounds) == {"channel", "bank", "terminal", "legacy"}
    for source in rounds.values():
        assert len({one.name for one in source}) == len(source)
        assert all(one.filled for one in source), "nothing is paired by empty numbers"
    with pytest.raises(ValueError, match="one of the keys"):
        Round("empty", keys=())
    with pytest.raises(ValueError, match="only texts"):
        Round("odd", keys=(Key.AMOUNT,), filled=(Key.AMOUNT,))
