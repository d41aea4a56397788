"""Which load a fen came from: laws over random histories of one card."""

from __future__ import annotations

from time import process_time
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.ledger.lots import Order, derive
from kabao.ledger.model import Account, Decision, Lot, Moment, Move, Purpose, Root, Transfer
from kabao.ledger.posting import StoredLot, play
from tests.ledger import make
from tests.ledger.make import AT, COMPANY, ISSUER, STORE, do

A = Account
PRINCIPAL = {A.PRINCIPAL, A.PRINCIPAL_HELD}


class Step(NamedTuple):
    verb: str
    principal: int
    bonus: int
    which: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(
            ["load", "pay", "hold", "capture", "release", "refund", "suspend", "unload", "lose"]
        ),
        st.integers(0, 90),
        st.integers(0, 30),
        st.integers(0, 99),
    ),
    min_size=1,
    max_size=30,
)
ORDERS = st.sampled_from(["fifo", "lifo"])


class Card:
    """One root and what happened to it; every step that can be done is done."""

    def __init__(self) -> None:
        self.root = make.root()
        self.transfers: list[Transfer] = []
        self.lots: list[StoredLot] = []
        self.taken: dict[str, list[int]] = {}
        """By original: principal and bonus that may still be given back."""
        self.held: dict[str, list[int]] = {}
        self.loads: dict[str, tuple[int, int]] = {}

    def play(self, steps: list[Step]) -> Card:
        for step in steps:
            getattr(self, step.verb)(step.principal, step.bonus, step.which)
        return self

    def _post(self, moves: list[Move], lot: Lot | None = None) -> str | None:
        moves = [m for m in moves if m.amount_fen]
        if not moves:
            return None

        def run(found: Root | None, moment: Moment, loaded: Any) -> Decision:
            return Decision(result={}, moves=tuple(moves), lot=lot)

        command = do(run, self.root.id)
        played = play([command], {self.root.id: self.root}, {}, {}, AT)
        assert not played.defects, played.defects
        self.root = played.roots[self.root.id]
        self.transfers += played.transfers
        self.lots += played.lots
        return command.operation

    def _pick(self, of: dict[str, Any], which: int) -> str | None:
        return list(of)[which % len(of)] if of else None

    def load(self, p: int, b: int, which: int) -> None:
        lot = Lot(p, b, p, AT.day, STORE, COMPANY, "cash")
        op = self._post(
            [
                Move(A.CASH, A.PRINCIPAL, p, Purpose.LOAD, STORE),
                Move(A.BONUS_COST, A.BONUS, b, Purpose.BONUS, ISSUER),
            ],
            lot if p or b else None,
        )
        if op is not None:
            self.loads[op] = (p, b)

    def unload(self, p: int, b: int, which: int) -> None:
        """Void a load while at least as much is free on the card."""
        op = self._pick(self.loads, which)
        if op is None or self.loads[op][0] > self.root.principal_fen:
            return
        amount = self.loads.pop(op)[0]
        self._post([Move(A.PRINCIPAL, A.CASH, amount, Purpose.LOAD_VOID, STORE, op)])

    def pay(self, p: int, b: int, which: int) -> None:
        p, b = min(p, self.root.principal_fen), min(b, self.root.bonus_fen)
        op = self._post(
            [
                Move(A.PRINCIPAL, A.REDEEMED, p, Purpose.PAYMENT, STORE),
                Move(A.BONUS, A.REDEEMED, b, Purpose.PAYMENT, STORE),
            ]
        )
        if op is not None:
            self.taken[op] = [p, b]

    def hold(self, p: int, b: int, which: int) -> None:
        p, b = min(p, self.root.principal_fen), min(b, self.root.bonus_fen)
        op = self._post(
            [
                Move(A.PRINCIPAL, A.PRINCIPAL_HELD, p, Purpose.HOLD),
                Move(A.BONUS, A.BONUS_HELD, b, Purpose.HOLD),
            ]
        )
        if op is not None:
            self.held[op] = [p, b]

    def capture(self, p: int, b: int, which: int) -> None:
        op = self._pick(self.held, which)
        if op is None:
            return
        p, b = min(p, self.held[op][0]), min(b, self.held[op][1])
        self._post(
            [
                Move(A.PRINCIPAL_HELD, A.REDEEMED, p, Purpose.CAPTURE, STORE, op),
                Move(A.BONUS_HELD, A.REDEEMED, b, Purpose.CAPTURE, STORE, op),
            ]
        )
        self.held[op] = [self.held[op][0] - p, self.held[op][1] - b]
        before = self.taken.get(op, [0, 0])
        self.taken[op] = [before[0] + p, before[1] + b]

    def release(self, p: int, b: int, which: int) -> None:
        op = self._pick(self.held, which)
        if op is None:
            return
        p, b = self.held.pop(op)
        self._post(
            [
                Move(A.PRINCIPAL_HELD, A.PRINCIPAL, p, Purpose.RELEASE, None, op),
                Move(A.BONUS_HELD, A.BONUS, b, Purpose.RELEASE, None, op),
            ]
        )

    def refund(self, p: int, b: int, which: int, *, suspended: bool = False) -> None:
        op = self._pick(self.taken, which)
        if op is None:
            return
        p, b = min(p, self.taken[op][0]), min(b, self.taken[op][1])
        moves = [
            Move(A.REDEEMED, A.PRINCIPAL, p, Purpose.REFUND, STORE, op),
            Move(A.REDEEMED, A.BONUS, b, Purpose.REFUND, STORE, op),
        ]
        if suspended:
            moves += [
                Move(A.PRINCIPAL, A.SUSPENSE, p, Purpose.REFUND, ISSUER, op),
                Move(A.BONUS, A.SUSPENSE, b, Purpose.REFUND, ISSUER, op),
            ]
        self._post(moves)
        self.taken[op] = [self.taken[op][0] - p, self.taken[op][1] - b]

    def suspend(self, p: int, b: int, which: int) -> None:
        self.refund(p, b, which, suspended=True)

    def lose(self, p: int, b: int, which: int) -> None:
        """The issuer pays for an offline sale, through the card."""
        loss = Move(A.LOSS, A.PRINCIPAL, p, Purpose.LOSS, ISSUER)
        self._post([loss, Move(A.PRINCIPAL, A.REDEEMED, p, Purpose.LOSS, STORE)])

    def left(self, order: Order) -> list[tuple[int, int]]:
        found = derive(self.lots, self.transfers, order).left
        return [(one.principal_fen, one.bonus_fen) for one in found]


@given(STEPS, ORDERS)
def test_every_fen_belongs_to_a_lot(steps: list[Step], order: Order) -> None:
    card = Card().play(steps)
    derived = derive(card.lots, card.transfers, order)
    root = card.root
    assert (
        sum(x.principal_fen for x in derived.left) == root.principal_fen + root.principal_held_fen
    )
    assert sum(x.bonus_fen for x in derived.left) == root.bonus_fen + root.bonus_held_fen
    assert all(p.lot is not None for p in derived.spent + derived.returned)
    for one in derived.left:
        assert 0 <= one.principal_fen <= one.lot.lot.principal_fen
        assert 0 <= one.bonus_fen <= one.lot.lot.bonus_fen


@given(STEPS, ORDERS)
def test_pieces_add_up_to_their_transfers(steps: list[Step], order: Order) -> None:
    card = Card().play(steps)
    derived = derive(card.lots, card.transfers, order)
    brought = {lot.op for lot in card.lots}
    pieces: dict[int, int] = {}
    for piece in derived.spent + derived.returned:
        pieces[piece.transfer] = pieces.get(piece.transfer, 0) + piece.amount_fen
    expected = {
        t.seq: t.amount_fen
        for t in card.transfers
        if t.house is not None and t.op not in brought and t.purpose != Purpose.LOSS
    }
    assert pieces == expected


@given(STEPS, ORDERS)
def test_the_past_does_not_change(steps: list[Step], order: Order) -> None:
    """Derived again later, with more history, the old pieces are the same."""
    early = Card().play(steps[: len(steps) // 2])
    before = derive(early.lots, early.transfers, order)
    early.play(steps[len(steps) // 2 :])
    after = derive(early.lots, early.transfers, order)
    assert after.spent[: len(before.spent)] == before.spent
    assert after.returned[: len(before.returned)] == before.returned


@given(STEPS, ORDERS, st.integers(1, 90), st.booleans())
def test_a_refund_restores_the_lots(
    steps: list[Step], order: Order, amount: int, held: bool
) -> None:
    card = Card().play(steps)
    before = card.left(order)
    card.taken.clear()
    card.held.clear()
    if held:
        card.hold(amount, amount, 0)
        card.capture(amount // 2, amount // 2, 0)
        card.capture(amount, amount, 0)
    else:
        card.pay(amount, amount, 0)
    for part in (amount // 3, amount):
        card.refund(part, part, 0)
    assert card.left(order) == before


@given(STEPS, ORDERS, st.integers(1, 90))
def test_a_suspended_refund_leaves_the_other_lots_alone(
    steps: list[Step], order: Order, amount: int
) -> None:
    card = Card().play(steps)
    card.taken.clear()
    card.pay(amount, amount, 0)
    before = card.left(order)
    card.suspend(amount, amount, 0)
    assert card.left(order) == before


@pytest.mark.parametrize(("order", "left"), [("fifo", [0, 50, 70]), ("lifo", [60, 60, 0])])
def test_the_order_is_policy(order: Order, left: list[int]) -> None:
    card = Card()
    for fen in (60, 60, 70):
        card.load(fen, 0, 0)
    card.pay(70, 0, 0)
    assert [p for p, _ in card.left(order)] == left


def test_the_void_of_a_load_takes_that_load() -> None:
    card = Card()
    for fen in (60, 50, 70):
        card.load(fen, 0, 0)
    card.unload(0, 0, 1)
    assert [p for p, _ in card.left("fifo")] == [60, 0, 70]


def test_value_that_no_load_explains_is_shown() -> None:
    card = Card()
    card._post([Move(A.ADJUSTMENT, A.PRINCIPAL, 30, Purpose.ADJUSTMENT, ISSUER)])
    derived = derive(card.lots, card.transfers, "fifo")
    assert [(p.lot, p.amount_fen) for p in derived.returned] == [(None, 30)]


def test_a_part_goes_back_to_what_was_taken_last() -> None:
    card = Card()
    card.load(60, 0, 0)
    card.load(60, 0, 0)
    card.pay(70, 0, 0)
    card.refund(15, 0, 0)
    assert [p for p, _ in card.left("fifo")] == [5, 60]
    assert [p for p, _ in card.left("lifo")] == [60, 5]


def test_what_goes_on_to_suspense_is_what_came_back() -> None:
    card = Card()
    card.load(60, 0, 0)
    card.load(60, 0, 0)
    card.pay(60, 0, 0)
    card.pay(30, 0, 0)
    card.refund(20, 0, 0)
    card.suspend(10, 0, 1)
    assert [p for p, _ in card.left("fifo")] == [20, 30]


@pytest.mark.parametrize("order", ["fifo", "lifo"])
def test_a_card_with_a_long_history(order: Order) -> None:
    """10,000 loads and as many payments and refunds: in time with their number."""
    lots, transfers = long_history(10_000)
    began = process_time()
    found = derive(lots, transfers, order)
    assert process_time() - began < 2, "half a minute, when every payment looks at every load"
    assert not [piece for piece in found.spent + found.returned if piece.lot is None]
    left = sum(each.principal_fen for each in found.left)
    assert left == transfers[-1].principal_after_fen


def long_history(count: int) -> tuple[list[StoredLot], list[Transfer]]:
    """Loads of 100 fen, then payments of 90 over all of them, every third given back."""
    root, ops = make.IDS.new(), [make.IDS.new() for _ in range(2 * count)]
    lots, transfers = [], []
    balance = 0

    def move(op: str, debit: A, credit: A, fen: int, purpose: Purpose, related: str | None) -> None:
        nonlocal balance
        balance += fen if credit is A.PRINCIPAL else -fen
        given = dict.fromkeys(Transfer.__struct_fields__) | {
            "root": root,
            "seq": len(transfers) + 1,
            "op": op,
            "related": related,
            "debit": debit,
            "credit": credit,
            "house": STORE,
            "amount_fen": fen,
            "purpose": purpose,
            "principal_after_fen": balance,
        }
        transfers.append(Transfer(**given))  # type: ignore[arg-type]  # the rest does not matter

    for op in ops[:count]:
        lot = Lot(100, 0, 100, AT.day, STORE, COMPANY, "cash")
        move(op, A.CASH, A.PRINCIPAL, 100, Purpose.LOAD, None)
        lots.append(StoredLot(root, len(transfers), op, lot))
    for n, op in enumerate(ops[count:]):
        move(op, A.PRINCIPAL, A.REDEEMED, 90, Purpose.PAYMENT, None)
        if n % 3 == 0:
            move(make.IDS.new(), A.REDEEMED, A.PRINCIPAL, 90, Purpose.REFUND, op)
    return lots, transfers
