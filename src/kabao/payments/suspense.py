"""The way out of suspense: two people agree where value that fits no card goes.

A refund over its card's limit, or of a closed card, waits in the issuer's
account `suspense` (ruling 19, CR-20; docs/decisions/0009). It leaves whole, once:
back to the card when there is room again, or to the person it belongs to. Its
record is the approval and the transfers, whose operation is the approval's id.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND, Kind, code
from kabao.base.ids import from_edge, to_edge
from kabao.cards.limits import limit_after_credit
from kabao.cards.model import CardClass
from kabao.cards.ops import Cards
from kabao.cards.ops.life import Life
from kabao.ledger.model import (
    Account,
    Act,
    Decision,
    Dimensions,
    Event,
    Moment,
    Move,
    Purpose,
    Root,
    RootState,
)
from kabao.ledger.ops import Ledger
from kabao.policy.model import Rules

RELEASE_ACTION = "suspense_release"
"""What an approval of a release is called in policy `approval.actions`."""

RULE = "ruling 19"
CHANNEL = "suspense"
PAGE = 500
"""Transfers of a card read at a time."""

NOT_SUSPENDED = code(
    "nothing_suspended", Kind.REFUSED, "Nothing of this operation waits in suspense."
)
CARD_TAKES_NOTHING = code(
    "card_takes_no_refund", Kind.REFUSED, "This card has ended or was replaced; name a payee."
)


class Destination(StrEnum):
    """Where released value goes."""

    CARD = "card"
    """Back to the card it was refunded to."""
    PAYEE = "payee"
    """Paid out to an identified person; bonus is never paid out, and lapses."""


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release that waits for the second person. `operation`: what suspended it."""

    card: str
    operation: str
    to: Destination
    payee: str | None


class Parts(msgspec.Struct, frozen=True):
    """What waits of one operation, in fen."""

    principal_fen: int
    bonus_fen: int


class Released(msgspec.Struct, frozen=True):
    """What was released, and what the card is worth since."""

    operation: str
    card: str
    to: Destination
    principal: int
    bonus: int
    currency: str
    balance: int
    available: int


class Terms(msgspec.Struct, frozen=True):
    """What decides about a release besides the card's root."""

    card: str
    suspended: str
    parts: Parts
    to: Destination
    rules: Rules
    card_class: CardClass
    operation: str


def decide(terms: Terms, root: Root | None, moment: Moment) -> Decision:
    """Release what waits, under the root's lock. Pure.

    It passes through the card, as it did on its way in, and goes back to the
    loads it was once paid from.

    Raises `nothing_suspended`, `card_takes_no_refund`, `over_balance_limit`.
    """
    del moment
    assert root is not None, "a card has a root"
    principal, bonus = terms.parts.principal_fen, terms.parts.bonus_fen
    if not principal and not bonus:
        raise NOT_SUSPENDED.error(rule=RULE, field="operation")
    stays = 0
    if terms.to is Destination.CARD:
        stays = principal + bonus
        ended = root.state in {RootState.INACTIVE, RootState.CLOSED}
        if root.card != terms.card or ended:
            raise CARD_TAKES_NOTHING.error(rule="CR-20", field="to")
        over = limit_after_credit(terms.rules, terms.card_class, root.balance_fen + stays)
        if over is not None:
            raise over
    done = Released(
        operation=to_edge("op", terms.operation),
        card=to_edge("card", terms.card),
        to=terms.to,
        principal=principal,
        bonus=bonus,
        currency=root.currency,
        balance=root.balance_fen + stays,
        available=root.available_fen + stays,
    )
    return Decision(
        result=done, moves=_moves(terms, root.issuer), events=(Event("suspense.released", done),)
    )


def _moves(terms: Terms, issuer: str) -> tuple[Move, ...]:
    made = []
    for amount, own, out, purpose in (
        (terms.parts.principal_fen, Account.PRINCIPAL, Account.PAID_OUT, Purpose.CARD_RETURN),
        (terms.parts.bonus_fen, Account.BONUS, Account.LAPSED, Purpose.BONUS_LAPSE),
    ):
        if not amount:
            continue
        back = Move(Account.SUSPENSE, own, amount, Purpose.REFUND, issuer, terms.suspended)
        made.append(back)
        if terms.to is Destination.PAYEE:
            made.append(Move(own, out, amount, purpose, issuer))
    return tuple(made)


class Suspense:
    """Check a release, and make it once it is agreed to."""

    def __init__(self, ledger: Ledger, cards: Cards, life: Life) -> None:
        self._ledger, self._cards, self._life = ledger, cards, life

    async def issuer(self, conn: Conn, card: str) -> str:
        """The company whose card it is. Raises `not_found`."""
        return (await self._root(conn, from_edge("card", card, field="card"))).issuer

    async def check(self, conn: Conn, asked: Release) -> None:
        """Whether a release would be possible now.

        Raises `not_found`, `invalid`, `holder_not_identified`, and as `decide`.
        """
        await self._play(conn, asked, None)

    async def release(self, conn: Conn, asked: Release, approval: Approval) -> Released:
        """Release in the approving transaction. Raises as `check`."""
        return await self._play(conn, asked, approval)

    async def _play(self, conn: Conn, asked: Release, approval: Approval | None) -> Released:
        card = from_edge("card", asked.card, field="card")
        suspended = from_edge("op", asked.operation, field="operation")
        root = await self._root(conn, card)
        await self._ledger.lock(conn, [root.id])  # so that what waits is what is released
        await self._check_payee(conn, asked, card)
        programme = await self._cards.find_programme(conn, root.programme)
        terms = Terms(
            card=card,
            suspended=suspended,
            parts=await self._waiting(conn, root.id, suspended),
            to=asked.to,
            rules=self._cards.rules_of(programme, self._cards.today(programme)),
            card_class=programme.card_class,
            operation="" if approval is None else approval.id,
        )
        if approval is None:
            would: Released = decide(terms, root, Moment(0, self._cards.today(programme))).result
            return would
        act = Act(
            company=approval.company,
            operation=approval.id,
            root=root.id,
            dims=Dimensions(channel=CHANNEL),
            run=partial(decide, terms),
        )
        done: Released = (await self._ledger.post_in(conn, [act]))[0]
        return done

    async def _check_payee(self, conn: Conn, asked: Release, card: str) -> None:
        """A payee exactly where one is paid: identified, and the holder if there is one."""
        if (asked.payee is None) == (asked.to is Destination.PAYEE):
            raise INVALID.error("A payee is named when it is paid out.", field="payee")
        if asked.payee is None:
            return
        payee = from_edge("cus", asked.payee, field="payee")
        await self._life.check_person(conn, payee, "payee", rule="CR-21")
        holder = await self._cards.holder(conn, card)
        if holder is not None and holder != payee:
            raise NOT_FOUND.error("The card's holder is somebody else.", field="payee")

    async def _waiting(self, conn: Conn, root: str, suspended: str) -> Parts:
        """What an operation has put into suspense, less what was released of it."""
        left = {Account.PRINCIPAL: 0, Account.BONUS: 0}
        before: int | None = None
        while page := await self._ledger.transfers(conn, root, before_seq=before, limit=PAGE):
            for t in page:
                if t.credit == Account.SUSPENSE and t.op == suspended:
                    left[Account(t.debit)] += t.amount_fen
                elif t.debit == Account.SUSPENSE and t.related == suspended:
                    left[Account(t.credit)] -= t.amount_fen
            before = page[-1].seq
        return Parts(left[Account.PRINCIPAL], left[Account.BONUS])

    async def _root(self, conn: Conn, ident: str) -> Root:
        card = await self._cards.find_card(conn, ident)
        root = await self._ledger.root(conn, card.root)
        if root is None:
            raise NOT_FOUND.error("There is no such card.", field="card")
        return root


def suspense_executors(suspense: Suspense) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload."""

    async def release(conn: Conn, asked: Release, approval: Approval) -> Released:
        return await suspense.release(conn, asked, approval)

    return [(RELEASE_ACTION, release, Release)]
