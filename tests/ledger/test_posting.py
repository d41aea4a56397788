"""Deciding a batch: tables of state, commands and what must come of them."""

from __future__ import annotations

from typing import Any

import pytest

from kabao.base.errors import KEY_REUSED, UNAVAILABLE, KabaoError
from kabao.ledger.model import (
    Account,
    Decision,
    Event,
    Hold,
    HoldState,
    Lot,
    Moment,
    Move,
    Operation,
    OperationState,
    Purpose,
    Root,
    RootState,
)
from kabao.ledger.posting import Played, play
from tests.ledger import make
from tests.ledger.make import AT, COMPANY, ISSUER, STORE, do

A = Account
P, B, PH, BH, STORE_DUE, CASH, GIVEN = (
    A.PRINCIPAL,
    A.BONUS,
    A.PRINCIPAL_HELD,
    A.BONUS_HELD,
    A.REDEEMED,
    A.CASH,
    A.BONUS_COST,
)

MOVES = {
    "load": (CASH, P, Purpose.LOAD, STORE),
    "unload": (P, CASH, Purpose.LOAD_VOID, STORE),
    "give": (GIVEN, B, Purpose.BONUS, ISSUER),
    "pay": (P, STORE_DUE, Purpose.PAYMENT, STORE),
    "paybonus": (B, STORE_DUE, Purpose.PAYMENT, STORE),
    "hold": (P, PH, Purpose.HOLD, None),
    "holdbonus": (B, BH, Purpose.HOLD, None),
    "capture": (PH, STORE_DUE, Purpose.CAPTURE, STORE),
    "release": (PH, P, Purpose.RELEASE, None),
    "refund": (STORE_DUE, P, Purpose.REFUND, STORE),
    # What must never be: each is a defect of whoever asks for it.
    "nohouse": (P, STORE_DUE, Purpose.PAYMENT, None),
    "sidehouse": (P, PH, Purpose.HOLD, STORE),
    "same": (P, P, Purpose.PAYMENT, None),
    "norootside": (CASH, STORE_DUE, Purpose.PAYMENT, STORE),
}

TABLE = """
before       | commands                               | outcomes           | after
0 0 0 0      | load 1000, give 200                    | ok ok              | 1000 200 0 0
1000 0 0 0   | pay 400, pay 700, pay 600              | ok defect ok       | 0 0 0 0
1000 0 0 0   | pay 1000                               | ok                 | 0 0 0 0
1000 0 0 0   | pay 1001                               | defect             | 1000 0 0 0
1000 50 0 0  | paybonus 50, paybonus 1                | ok defect          | 1000 0 0 0
500 60 0 0   | hold 500, holdbonus 60, pay 1          | ok ok defect       | 0 0 500 60
0 0 500 0    | capture 200, release 300, capture 1    | ok ok defect       | 300 0 0 0
0 0 0 0      | load 10, refund 5, unload 10           | ok ok ok           | 5 0 0 0
100 0 0 0    | pay 0, pay -5, pay 5                   | defect defect ok   | 95 0 0 0
100 0 0 0    | nohouse 5, sidehouse 5, pay 1          | defect defect ok   | 99 0 0 0
100 0 0 0    | same 5, norootside 5, pay 1            | defect defect ok   | 99 0 0 0
100 0 0 0    | pay 40 key=k, pay 40 key=k             | ok ok              | 60 0 0 0
100 0 0 0    | pay 40 key=k, pay 30 key=k mac=other   | ok reused          | 60 0 0 0
100 0 0 0    | pay 101 key=k, pay 40 key=k            | defect ok          | 60 0 0 0
100 0 0 0    | pay 40 key=barred, pay 10              | refused ok         | 90 0 0 0
100 0 0 0    | pay 40 key=barred, pay 40 key=barred   | refused refused    | 100 0 0 0
100 0 0 0    | pay 4 key=barred, pay 5 key=barred mac=other | refused reused | 100 0 0 0
100 0 0 0    | pay 40 key=answered, pay 1 key=answered mac=other | stored reused | 100 0 0 0
"""

ROWS = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()[1:]]

KNOWN = {
    (COMPANY, "barred"): Operation(
        COMPANY, "barred", "1" * 32, None, b"", OperationState.TOMBSTONE, "null"
    ),
    (COMPANY, "answered"): Operation(
        COMPANY, "answered", "2" * 32, None, b"m", OperationState.ANSWERED, '{"status":"stored"}'
    ),
}


def _command(text: str, root: Root) -> make.Do:
    verb, amount, *options = text.split()
    debit, credit, purpose, house = MOVES[verb]
    given = dict(option.split("=") for option in options)

    def run(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        move = Move(debit, credit, int(amount), purpose, house)
        return Decision(result={"status": "ok"}, moves=(move,))

    return do(run, root.id, given.get("key"), mac=given.get("mac", "m").encode())


def _outcome(played: Played, index: int) -> str:
    error = played.errors[index]
    if error is None:
        return str(played.outcomes[index]["status"])
    return "reused" if error.code is KEY_REUSED else "defect"


@pytest.mark.parametrize(("before", "commands", "outcomes", "after"), ROWS)
def test_table(before: str, commands: str, outcomes: str, after: str) -> None:
    principal, bonus, principal_held, bonus_held = map(int, before.split())
    root = make.root(
        principal_fen=principal,
        bonus_fen=bonus,
        principal_held_fen=principal_held,
        bonus_held_fen=bonus_held,
        seq=7,
    )
    batch = [_command(text.strip(), root) for text in commands.split(",")]
    played = play(batch, {root.id: root}, KNOWN, {}, AT)
    assert " ".join(_outcome(played, i) for i in range(len(batch))) == outcomes
    now = played.roots[root.id]
    balances = (now.principal_fen, now.bonus_fen, now.principal_held_fen, now.bonus_held_fen)
    assert " ".join(map(str, balances)) == after
    _check_transfers(root, now, played)


def _check_transfers(before: Root, now: Root, played: Played) -> None:
    """Numbered without a gap, each with the balances after it."""
    assert [t.seq for t in played.transfers] == list(range(before.seq + 1, now.seq + 1))
    assert (now.id in played.changed) == bool(played.transfers)
    assert len({o.key for o in played.operations}) == len(played.operations)
    if played.transfers:
        last = played.transfers[-1]
        assert last.principal_after_fen == now.principal_fen
        assert last.bonus_after_fen == now.bonus_fen
        assert last.held_after_fen == now.held_fen


def test_nothing_that_is_given_is_changed() -> None:
    root = make.root(principal_fen=100)
    roots, known = {root.id: root}, dict(KNOWN)
    play([_command("pay 40 key=x", root), _command("pay 1 key=barred", root)], roots, known, {}, AT)
    assert roots == {root.id: root} and known == KNOWN


def test_items_see_each_other_also_through_what_was_loaded() -> None:
    async def loader(conn: Any, wanted: Any) -> dict[str, int]:
        raise AssertionError("the caller of play has loaded")

    def run(found: Root | None, moment: Moment, loaded: int) -> Decision:
        return Decision(result={"seen": loaded}, loaded=loaded + 1)

    root = make.root()
    batch = [do(run, root.id, loader=loader, wanted="a") for _ in range(3)]
    played = play(batch, {root.id: root}, {}, {loader: {"a": 5}}, AT)
    assert [o["seen"] for o in played.outcomes] == [5, 6, 7]


def test_events_are_numbered_per_root_across_the_batch() -> None:
    def run(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        return Decision(result={}, events=(Event("a", {}), Event("b", {})))

    first, second = make.root(event_seq=4), make.root()
    batch = [do(run, r) for r in (first.id, second.id, first.id, None)]
    played = play(batch, {r.id: r for r in (first, second)}, {}, {}, AT)
    assert [(e.root, e.root_seq) for e in played.events] == [
        (first.id, 5),
        (first.id, 6),
        (second.id, 1),
        (second.id, 2),
        (first.id, 7),
        (first.id, 8),
        (None, None),
        (None, None),
    ]
    assert played.roots[first.id].event_seq == 8


def test_a_refusal_leaves_no_trace_and_its_neighbours_alone() -> None:
    def refuse(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        raise UNAVAILABLE.error()

    def explode(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        raise ZeroDivisionError

    root = make.root(principal_fen=100)
    batch = [do(refuse, root.id), _command("pay 1", root), do(explode, root.id)]
    played = play(batch, {root.id: root}, {}, {}, AT)
    errors = [e.code.name if e else None for e in played.errors]
    assert errors == ["unavailable", None, "internal"]
    assert [index for index, _ in played.defects] == [2]
    assert len(played.operations) == len(played.transfers) == 1


def test_a_root_that_is_not_there_is_seen_as_none() -> None:
    def run(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        return Decision(result={"status": "declined" if found is None else "ok"})

    played = play([do(run, "9" * 32)], {}, {}, {}, AT)
    assert played.outcomes == [{"status": "declined"}]
    assert played.operations[0].root is None and not played.changed


def _result(**fields: Any) -> make.Run:
    def run(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        return Decision(result={}, **fields)

    return run


MOVE = Move(P, STORE_DUE, 1, Purpose.PAYMENT, STORE)
LOT = Lot(1, 0, 1, AT.day, STORE, COMPANY, "cash")


@pytest.mark.parametrize(
    ("fields", "on_root"),
    [
        ({"moves": (MOVE,)}, False),
        ({"set": {"state": 1}}, False),
        ({"moves": (MOVE,), "remember": False}, True),
        ({"lot": LOT}, True),
        ({"kept": object()}, True),
    ],
    ids=["moves without root", "set without root", "moves forgotten", "lot alone", "unkeepable"],
)
def test_defects_of_a_decision_store_nothing(fields: dict[str, Any], on_root: bool) -> None:
    root = make.root(principal_fen=5)
    played = play(
        [do(_result(**fields), root.id if on_root else None)], {root.id: root}, {}, {}, AT
    )
    assert played.defects and played.stores_nothing
    assert not (played.transfers or played.lots or played.holds or played.events)


def test_what_is_not_kept_may_still_change_the_root() -> None:
    root = make.root()
    played = play(
        [do(_result(set={"pin_tries": 2}, remember=False), root.id)], {root.id: root}, {}, {}, AT
    )
    assert played.roots[root.id].pin_tries == 2 and not played.operations
    assert not played.stores_nothing


def test_a_freeze_and_a_payment_have_an_order() -> None:
    def pay(found: Root | None, moment: Moment, loaded: Any) -> Decision:
        assert found is not None
        return Decision(result={"status": "ok" if found.state == RootState.ACTIVE else "declined"})

    root = make.root()
    freeze = do(_result(set={"state": RootState.FROZEN}), root.id)
    played = play([do(pay, root.id), freeze, do(pay, root.id)], {root.id: root}, {}, {}, AT)
    assert played.outcomes[0] == {"status": "ok"} and played.outcomes[2] == {"status": "declined"}


def test_the_last_word_on_a_hold_is_stored() -> None:
    root = make.root(principal_fen=5)
    holds = [
        Hold("8" * 32, root.id, state, 0, 0, 0) for state in (HoldState.OPEN, HoldState.CAPTURED)
    ]
    played = play([do(_result(holds=(h,)), root.id) for h in holds], {root.id: root}, {}, {}, AT)
    assert list(played.holds.values()) == [holds[1]]


def test_dimensions_and_moments_stand_in_every_transfer() -> None:
    root = make.root(principal_fen=100)
    command = make.replaced(
        _command("pay 40", root), dims=make.Dimensions(STORE, STORE, "3" * 32, occurred_us=17)
    )
    (t,) = play([command], {root.id: root}, {}, {}, AT).transfers
    assert (t.selling_store, t.redeeming_store, t.terminal) == (STORE, STORE, "3" * 32)
    assert (t.occurred_us, t.recorded_us, t.business_date) == (17, AT.us, AT.day)
    assert (t.issuer, t.currency, t.op) == (ISSUER, "CNY", command.operation)


def test_a_barred_original_may_move_nothing() -> None:
    class Moves(make.Do, frozen=True, kw_only=True):
        def decide_late(self, moment: Moment) -> Decision:
            return Decision(result={}, moves=(MOVE,))

    root = make.root(principal_fen=5)
    command = Moves(
        company=COMPANY, operation="4" * 32, key="barred", mac=b"m", root=root.id, run=_result()
    )
    played = play([command], {root.id: root}, KNOWN, {}, AT)
    assert played.defects and not played.late and isinstance(played.errors[0], KabaoError)
