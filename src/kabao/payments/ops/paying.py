"""Paying: a source is looked up, and a command posted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Database
from kabao.base.errors import UNAVAILABLE
from kabao.base.ids import Ids
from kabao.cards.model import Proof, Resolved
from kabao.cards.ops import Cards
from kabao.ledger.model import Command, RootState
from kabao.ledger.ops import Ledger
from kabao.org.ops import Org
from kabao.paycodes.model import ByCode, Payable
from kabao.paycodes.ops import PayCodes
from kabao.payments import codes
from kabao.payments.inquire import Inquire
from kabao.payments.lookup import LookUp
from kabao.payments.model import Inquiry, Payment
from kabao.payments.ops.reading import Reading
from kabao.payments.pay import Request, Stale, command
from kabao.payments.waiting import Waiting
from kabao.policy.ops import Policy

STALE_TRIES = 4
"""How often a card that changes between look-up and lock is looked up again."""

ROOT_STATUS: Mapping[int, str] = {
    RootState.INACTIVE: "inactive",
    RootState.ACTIVE: "active",
    RootState.FROZEN: "frozen",
    RootState.LOST: "lost",
    RootState.EXPIRED: "expired",
    RootState.CLOSED: "closed",
}


class _Way:
    """One call's way: look the card up, post, and look up again while the card is changing.

    Not closures: those would hold on to each other until the collector comes,
    and half of the engine's time would go into collecting.
    """

    __slots__ = (
        "_ask",
        "_before",
        "_ledger",
        "_look_up",
        "_source",
        "_tries",
        "_waiting",
        "caller",
    )

    def __init__(
        self,
        look_up: LookUp,
        ledger: Ledger,
        waiting: Waiting,
        source: Payable,
        ask: Callable[[Resolved | None], Command[Any]],
    ) -> None:
        self._look_up, self._ledger, self._waiting = look_up, ledger, waiting
        self._source, self._ask = source, ask
        self.caller = waiting.enter()
        self._tries = 0
        self._before: Resolved | None = None

    def resolved(self, card: Resolved | None, failed: Exception | None) -> None:
        """Go on with what the source turned out to be."""
        caller = self.caller
        if caller.answer.done():
            return
        if failed is not None:
            self._waiting.leave(caller, None, failed)
            return
        if self._tries and card == self._before:
            card = None  # not changing: it was replaced, and is nobody's any more
        self._before = card
        caller.posted = True
        try:
            self._ledger.submit(self._ask(card), self.done)
        except Exception as refused:  # noqa: BLE001 - the future carries it
            self._waiting.leave(caller, None, refused)

    def done(self, outcome: Any, failed: Exception | None) -> None:
        """Answer, unless the card has changed meanwhile."""
        if isinstance(outcome, Stale):
            self._tries += 1
            if self._tries < STALE_TRIES:
                self._look_up.put(self._source, self.resolved)
                return
            failed = UNAVAILABLE.error("The card is changing; try again.")
        self._waiting.leave(self.caller, outcome, failed)


class Paying(Reading):
    """Pay, set aside, ask for a balance: future in, future out, so that the fast door
    needs no task.
    """

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        cards: Cards,
        paycodes: PayCodes,
        org: Org,
        policy: Policy,
        clock: Clock,
        days: BusinessDays,
        ids: Ids,
    ) -> None:
        super().__init__(db, ledger, cards, org, policy, clock, days, ids)
        self._look_up = LookUp(db, paycodes)
        self._waiting = Waiting()

    async def start(self) -> None:
        """Begin to gather look-ups."""
        await self._look_up.start()
        self._waiting.start()

    async def stop(self) -> None:
        """Stop gathering."""
        await self._look_up.stop()
        await self._waiting.stop()

    def pay(
        self, request: Request, source: Payable, covers: Callable[[str], bool]
    ) -> asyncio.Future[Payment]:
        """Pay, or set aside with `capture=False`.

        `covers` tells whether the caller's scope covers an issuer's cards: only
        then may a card be named by its id alone. The future ends in the
        payment, declined ones included, or in a KabaoError: `unavailable`,
        `in_doubt`, `idempotency_key_reused`.
        """

        def ask(found: Resolved | None) -> Command[Any]:
            card = within(found, covers)
            terms = self.terms(card, request.place)
            if isinstance(card, ByCode):
                return codes.pay_command(request, card, terms)
            return command(request, card, terms)

        return self._through(source, ask)

    def inquire(
        self, company: str, source: Payable, covers: Callable[[str], bool]
    ) -> asyncio.Future[Inquiry]:
        """Ask for a balance. Wrong PINs count; a right one is not kept."""
        ident = self._ids.new()

        def ask(found: Resolved | None) -> Command[Any]:
            card = within(found, covers)
            plain = Inquire(
                company=company,
                operation=ident,
                key="inquiry/" + ident,
                root=card.root if card is not None else None,
                card=card,
                limits=self.limits(card.programme) if card is not None else None,
                status_of=ROOT_STATUS,
            )
            return codes.inquire_command(plain, card) if isinstance(card, ByCode) else plain

        return self._through(source, ask)

    def _through(
        self, source: Payable, ask: Callable[[Resolved | None], Command[Any]]
    ) -> asyncio.Future[Any]:
        way = _Way(self._look_up, self._ledger, self._waiting, source, ask)
        self._look_up.put(source, way.resolved)
        return way.caller.answer


def within(card: Resolved | None, covers: Callable[[str], bool]) -> Resolved | None:
    """A card named by id outside the caller's scope is as good as unknown."""
    if card is not None and card.proof == Proof.SCOPE and not covers(card.issuer):
        return None
    return card
