"""Value leaving a card other than by payment: merge, cash-out, close."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec

from kabao.base.db import Conn
from kabao.base.errors import INVALID, Kind, code
from kabao.base.money import split
from kabao.cards.claims import CLAIM_TOO_WEAK, NOT_THE_HOLDER, STAFF, By, Claim
from kabao.cards.limits import FROM_CARD, limit_after_credit
from kabao.cards.model import Card, CardClass
from kabao.cards.ops.change import Asked, Done, Effect, Held, place
from kabao.cards.ops.secrets import Secrets
from kabao.cards.states import CardState, Reason, Verb, step
from kabao.ledger.lots import LotLeft, Order
from kabao.ledger.model import Account, Act, Decision, Lot, Moment, Move, Purpose, Root
from kabao.policy.choices import Switch
from kabao.policy.names import (
    CARD_BONUS_MAY_LAPSE,
    CARD_LOT_ORDER,
    CASH_OUT_MAX_FEN,
    CASH_OUT_SWEEP_ALLOWED,
)

CARD_HAS_HOLDS = code(
    "card_has_holds", Kind.CONFLICT, "Open holds on the card must be captured or released first."
)
CARD_NOT_EMPTY = code("card_not_empty", Kind.REFUSED, "There is still value on the card.")
CARDS_DIFFER = code(
    "cards_differ", Kind.REFUSED, "Only cards of one class, issuer and currency can be merged."
)
NOTHING_TO_PAY_OUT = code(
    "nothing_to_pay_out", Kind.REFUSED, "There is not that much paid value on the card."
)
CASH_OUT_OVER_LIMIT = code(
    "cash_out_over_limit", Kind.REFUSED, "This much may not be paid out in cash."
)
COUNTER_ONLY = code("counter_only", Kind.REFUSED, "This is done at a store's counter only.")

ACTS_AT_ONCE = 400
"""Commands in one posting; a card of more loads than that is merged in several,
all in one transaction."""


class Merged(msgspec.Struct, frozen=True):
    """What a merge did."""

    source: Card
    target: Card
    principal_fen: int
    bonus_fen: int


class PaidOut(msgspec.Struct, frozen=True):
    """What was paid out in cash, and the card as it is now."""

    card: Card
    amount_fen: int


UNSOLD = frozenset({CardState.IN_STOCK, CardState.BLOCKED, CardState.INACTIVE})
"""States in which nobody holds the card."""


class _Piece(msgspec.Struct, frozen=True):
    """Part of what is merged, and the load it is on the target."""

    principal_fen: int
    bonus_fen: int
    lot: Lot | None


class Value(Secrets):
    """Merge, cash-out, close."""

    async def merge(self, conn: Conn, source: str, target: str, claim: Claim, by: By) -> Merged:
        """All value of one card goes to another, and the first is closed (CR-20).

        Two linked transfers through the issuer's transit account; principal
        stays principal and bonus stays bonus. Every load with something left
        becomes a load of the target, with its contract date, seller and its
        share of the price paid, so that a later refund still knows them.

        Raises:
            KabaoError: `invalid` (the same card), what `believe` raises for the
                source, `card_state_forbids`, `cards_differ`, `not_the_holder`
                (give it away by transfer instead), `card_has_holds`,
                `over_balance_limit`, `stopped`.
        """
        if source == target:
            raise INVALID.error("A card is not merged into itself.", field="into")
        believed = await self.believe(conn, claim, source, Verb.MERGE_OUT)
        giving, taking = await self.hold(conn, source, target)
        step(giving.state, Verb.MERGE_OUT)
        step(taking.state, Verb.MERGE_IN)
        _check_kin(giving, taking)
        self.require_running(Switch.STOP_TRANSFER, giving.programme)
        _check_no_holds(giving)
        balance = taking.root.balance_fen + giving.root.available_fen
        over = limit_after_credit(taking.rules, taking.programme.card_class, balance)
        if over is not None:
            raise over
        pieces = await self._pieces(conn, giving)
        acts = self._merging(giving, taking, pieces, Asked(Verb.MERGE_OUT, by, believed))
        for start in range(0, len(acts), ACTS_AT_ONCE):
            await self.play(conn, *acts[start : start + ACTS_AT_ONCE])
        return Merged(
            await self.card(conn, source),
            await self.card(conn, target),
            giving.root.principal_fen,
            giving.root.bonus_fen,
        )

    def _merging(
        self, giving: Held, taking: Held, pieces: Sequence[_Piece], asked: Asked
    ) -> list[Act]:
        """The commands of a merge: all leaves the one card, and load by load comes to the other."""
        amount, dims = giving.root.available_fen, place(asked.by)
        out = self.act(
            giving,
            asked,
            Effect(
                moves=_out(giving, giving.root.principal_fen, giving.root.bonus_fen),
                other_card=taking.card.id,
                amount_fen=amount,
                event="card.merged",
            ),
            dims,
        )
        first, *others = pieces or [_Piece(0, 0, None)]
        arrival = self.act(
            taking,
            Asked(Verb.MERGE_IN, asked.by, STAFF),
            Effect(
                moves=_in(taking, first, out.operation),
                lot=first.lot,
                other_card=giving.card.id,
                amount_fen=amount,
            ),
            dims,
        )
        return [out, arrival, *(self._arrival(taking, piece, out) for piece in others)]

    async def _pieces(self, conn: Conn, held: Held) -> list[_Piece]:
        """What is on a card, load by load; what no load explains comes last."""
        order = cast(Order, held.rules.text(CARD_LOT_ORDER))
        derived = await self._ledger.lots(conn, held.root.id, order)
        principal, bonus = held.root.principal_fen, held.root.bonus_fen
        pieces = []
        for left in derived.left:
            p, b = min(left.principal_fen, principal), min(left.bonus_fen, bonus)
            if p or b:
                pieces.append(_Piece(p, b, _heir(left, p, b)))
                principal, bonus = principal - p, bonus - b
        if principal or bonus:
            pieces.append(_Piece(principal, bonus, None))
        return pieces

    def _arrival(self, taking: Held, piece: _Piece, out: Act) -> Act:
        """One more load of the source arrives."""

        def run(root: Root | None, moment: Moment) -> Decision:
            del root, moment
            return Decision(
                result=Done(taking.card.id, CardState.ACTIVE),
                moves=_in(taking, piece, out.operation),
                lot=piece.lot,
            )

        return Act(
            company=out.company,
            operation=self._ids.new(),
            root=taking.root.id,
            run=run,
            dims=out.dims,
        )

    async def cash_out(
        self,
        conn: Conn,
        ident: str,
        claim: Claim,
        payee: str,
        amount_fen: int | None,
        by: By,
        *,
        close: bool = False,
    ) -> PaidOut:
        """Pay a small remainder in cash at a store's counter (L-15, CR-21).

        Args:
            claim: of the holder, or possession of a bearer card.
            payee: the person who takes the money, identified: the law wants
                name and identity number on record.
            amount_fen: None sweeps the card to its last fen of paid value.
                Bonus is never paid out.
            close: close the card afterwards; its bonus lapses.

        Raises:
            KabaoError: what `believe` raises, `counter_only`,
                `holder_not_identified`, `not_the_holder`, `card_state_forbids`,
                `card_has_holds`, `cash_out_over_limit`, `nothing_to_pay_out`, `stopped`.
        """
        if not by.at_counter or by.store is None:
            raise COUNTER_ONLY.error(rule="CR-21", field="terminal")
        await self.check_person(conn, payee, "payee", rule="CR-21")
        believed = await self.believe(conn, claim, ident, Verb.CASH_OUT)
        (held,) = await self.hold(conn, ident)
        step(held.state, Verb.CASH_OUT)
        self.require_running(Switch.STOP_CASH_OUT, held.programme)
        if held.programme.card_class is CardClass.REGISTERED and held.card.holder != payee:
            raise NOT_THE_HOLDER.error(rule="CR-21", field="payee")
        _check_no_holds(held)
        amount = _payable(held, amount_fen)
        await self._check_not_moved(conn, held)
        move = Move(Account.PRINCIPAL, Account.CASH, amount, Purpose.CASH_OUT, by.store)
        card = await self.change(
            conn,
            held,
            Asked(Verb.CASH_OUT, by, believed),
            Effect(moves=(move,), party=payee, amount_fen=amount, event="card.cashed_out"),
        )
        if close:
            (rest,) = await self.hold(conn, ident)
            card = await self._close(
                conn, rest, Asked(Verb.CLOSE, by, believed, Reason.RETURNED), lapse_bonus=True
            )
        return PaidOut(card, amount)

    async def _check_not_moved(self, conn: Conn, held: Held) -> None:
        """Value that came from another card is no remainder: moved over in small parts, all of
        the first card would be paid out.
        """
        order = cast(Order, held.rules.text(CARD_LOT_ORDER))
        derived = await self._ledger.lots(conn, held.root.id, order)
        if any(one.principal_fen and one.lot.lot.channel == FROM_CARD for one in derived.left):
            raise CASH_OUT_OVER_LIMIT.error(
                "What another card paid for is not paid in cash.",
                rule=held.rules.row(CASH_OUT_MAX_FEN),
            )

    async def close(
        self,
        conn: Conn,
        ident: str,
        claim: Claim | None,
        reason: Reason | None,
        by: By,
        *,
        lapse_bonus: bool = False,
    ) -> Card:
        """End a card whose paid value is gone. For ever.

        Args:
            claim: None only for a card nobody holds (reason `unsold`).
            lapse_bonus: the holder agrees that free bonus is lost.

        Raises:
            KabaoError: `claim` missing: `claim_too_weak`; what `believe`
                raises, `card_state_forbids`, `card_has_holds`, `card_not_empty`.
        """
        believed = STAFF
        if claim is not None:
            believed = await self.believe(conn, claim, ident, Verb.CLOSE)
        (held,) = await self.hold(conn, ident)
        if claim is None and held.state not in UNSOLD:
            raise CLAIM_TOO_WEAK.error(rule="CR-30", field="claim")
        if held.state in UNSOLD:
            await self._stock.keep_still(conn, held.card)
        return await self._close(
            conn, held, Asked(Verb.CLOSE, by, believed, reason), lapse_bonus=lapse_bonus
        )

    async def _close(self, conn: Conn, held: Held, asked: Asked, *, lapse_bonus: bool) -> Card:
        root = held.root
        step(held.state, Verb.CLOSE, asked.reason)
        _check_no_holds(held)
        may_lapse = lapse_bonus and held.rules.flag(CARD_BONUS_MAY_LAPSE)
        if root.principal_fen or (root.bonus_fen and not may_lapse):
            raise CARD_NOT_EMPTY.error(rule="CR-13")
        moves: tuple[Move, ...] = ()
        if root.bonus_fen:
            lapse = Move(
                Account.BONUS, Account.LAPSED, root.bonus_fen, Purpose.BONUS_LAPSE, root.issuer
            )
            moves = (lapse,)
        return await self.change(
            conn, held, asked, Effect(moves=moves, amount_fen=root.bonus_fen, event="card.closed")
        )


def _heir(left: LotLeft, principal_fen: int, bonus_fen: int) -> Lot:
    """What is left of a load as a load of its own, its price pro rata."""
    lot = left.lot.lot
    price = lot.price_fen
    if lot.principal_fen:
        price = split(price, [principal_fen, lot.principal_fen - principal_fen])[0]
    return msgspec.structs.replace(
        lot, principal_fen=principal_fen, bonus_fen=bonus_fen, price_fen=price
    )


def _out(held: Held, principal_fen: int, bonus_fen: int) -> tuple[Move, ...]:
    house = held.root.issuer
    pairs = ((Account.PRINCIPAL, principal_fen), (Account.BONUS, bonus_fen))
    return tuple(
        Move(account, Account.TRANSIT, amount, Purpose.MERGE, house)
        for account, amount in pairs
        if amount
    )


def _in(held: Held, piece: _Piece, related: str) -> tuple[Move, ...]:
    house = held.root.issuer
    pairs = ((Account.PRINCIPAL, piece.principal_fen), (Account.BONUS, piece.bonus_fen))
    return tuple(
        Move(Account.TRANSIT, account, amount, Purpose.MERGE, house, related)
        for account, amount in pairs
        if amount
    )


def _check_kin(giving: Held, taking: Held) -> None:
    """Whether value may go from one card to the other by merging."""
    a, b = giving.programme, taking.programme
    if (a.card_class, a.issuer, a.currency) != (b.card_class, b.issuer, b.currency):
        raise CARDS_DIFFER.error(rule="CR-20", field="into")
    if a.card_class is CardClass.REGISTERED and giving.card.holder != taking.card.holder:
        raise NOT_THE_HOLDER.error("Both cards must be the same person's.", rule="CR-27")


def _check_no_holds(held: Held) -> None:
    if held.root.held_fen:
        raise CARD_HAS_HOLDS.error()


def _payable(held: Held, amount_fen: int | None) -> int:
    """How much may be paid out in cash now."""
    rules, principal = held.rules, held.root.principal_fen
    limit = rules.int(CASH_OUT_MAX_FEN)
    if principal > limit:
        raise CASH_OUT_OVER_LIMIT.error(
            f"Only a remainder of {limit} fen or less is paid in cash.",
            rule=rules.row(CASH_OUT_MAX_FEN),
        )
    if amount_fen is None and not rules.flag(CASH_OUT_SWEEP_ALLOWED):
        raise INVALID.error("Say how much.", field="amount")
    amount = principal if amount_fen is None else amount_fen
    if not 0 < amount <= principal:
        raise NOTHING_TO_PAY_OUT.error(field="amount")
    return amount
