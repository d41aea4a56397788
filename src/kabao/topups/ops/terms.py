"""What policy and the group say about a top-up before its card is locked."""

from __future__ import annotations

from datetime import date

import msgspec

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn
from kabao.base.errors import KabaoError
from kabao.cards.limits import balance_limit
from kabao.cards.model import CardClass, Programme, Resolved
from kabao.cards.ops import Cards
from kabao.customers.model import Customer, Party, check_buyer
from kabao.customers.ops import Customers
from kabao.org.ops import Org
from kabao.policy import names
from kabao.policy.choices import Switch
from kabao.policy.model import Rules
from kabao.policy.ops import Policy
from kabao.topups import sql
from kabao.topups.model.bonus import RuleState, bonus_of
from kabao.topups.model.limits import check_amount, check_day, check_transfer, most_cash
from kabao.topups.model.topup import CASH, TOPUP_STOPPED
from kabao.topups.sql import bonus as bonus_sql

NOBODY = "0" * 32
"""Looked for in place of a card or a person there is not."""

RULES_MAX = 200
"""Bonus rules of one programme that are looked at."""


class Wish(msgspec.Struct, frozen=True):
    """Of a top-up, what rules look at."""

    amount_fen: int
    store: str | None
    channel: str
    """`cash`, or what was said of the channel; empty: any."""
    payer: str | None
    face_to_face: bool


class Offer(msgspec.Struct, frozen=True):
    """What holds for a card today."""

    programme: Programme
    rules: Rules
    by_unit: bool
    refused: KabaoError | None
    """The first rule that says no, whatever state the card is in."""


class TermsOf:
    """Looks up what holds for a top-up."""

    def __init__(
        self,
        cards: Cards,
        customers: Customers,
        org: Org,
        policy: Policy,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._cards, self._customers, self._org, self._policy = cards, customers, org, policy
        self._clock, self._days = clock, days

    @property
    def today(self) -> date:
        """The business day."""
        return self._days.of(self._clock.now_us())

    async def offer(self, conn: Conn, card: Resolved | None, wish: Wish) -> Offer | None:
        """What holds for a card; None for one there is not. The same is read for both, so
        that time does not tell which of them is a card. The card's root is locked.
        """
        buyer = await self._buyer(conn, wish.payer, card)
        day = await sql.of_day(conn, NOBODY if card is None else card.root, wish.payer, self.today)
        if card is None:
            return None
        programme = self._cards.programme(card.programme)
        assert programme is not None, "a card without a programme"
        rules = self._cards.rules(card.programme, self.today)
        if wish.payer is None and programme.card_class is not CardClass.REGISTERED:
            buyer = None  # having a bearer card bound to oneself is not paying for it
        by_unit = buyer is not None and buyer.party is Party.UNIT
        refused = None
        try:
            self._check(programme, rules, wish, buyer, by_unit=by_unit)
            check_day(rules, day, wish.amount_fen)
        except KabaoError as no:
            refused = no
        return Offer(programme, rules, by_unit, refused)

    async def most_cash(self, conn: Conn, card: Resolved, store: str, balance_fen: int) -> int:
        """How much cash a card takes in one top-up now, so that no machine takes more; 0: none.

        Raises what forbids any top-up of it, whatever the amount.
        """
        rules = self._cards.rules(card.programme, self.today)
        least_fen = rules.int(names.TOPUP_SINGLE_MIN_FEN)
        offer = await self.offer(conn, card, Wish(least_fen, store, CASH, None, face_to_face=True))
        assert offer is not None, "a card there is"
        if offer.refused is not None:
            raise offer.refused
        limit_fen, _ = balance_limit(rules, offer.programme.card_class)
        day, room_fen = await sql.of_day(conn, card.root, None, self.today), limit_fen - balance_fen
        most_fen = most_cash(rules, day, room_fen, by_unit=offer.by_unit)
        # What is given on top must fit as well. Less cash is never given more.
        given_fen = await self._most_given(conn, card.programme, most_fen)
        return most_cash(rules, day, room_fen - given_fen, by_unit=offer.by_unit)

    async def _most_given(self, conn: Conn, programme: str, amount_fen: int) -> int:
        """The most that a top-up may be given, whatever of caps and budgets is used up."""
        running = await bonus_sql.rules(conn, [programme], RuleState.RUNNING, None, RULES_MAX)
        today = self.today
        now = [rule for rule in running if rule.starts_on <= today <= rule.ends_on]
        return max((bonus_of(rule, amount_fen) for rule in now), default=0)

    async def is_unit(self, conn: Conn, payer: str | None) -> bool:
        """Whether a company pays and not a person."""
        buyer = await self._customers.find(conn, payer or NOBODY)
        return buyer is not None and buyer.party is Party.UNIT

    async def _buyer(self, conn: Conn, payer: str | None, card: Resolved | None) -> Customer | None:
        """Who pays: whoever is named, else the card's holder."""
        ident = payer or await self._cards.holder(conn, NOBODY if card is None else card.card)
        return await self._customers.find(conn, ident or NOBODY)

    def _check(
        self,
        programme: Programme,
        rules: Rules,
        wish: Wish,
        buyer: Customer | None,
        *,
        by_unit: bool,
    ) -> None:
        if wish.store is not None:
            self._org.require_accepted(programme.issuer, wish.store)
        for name in (Switch.STOP_SALE, Switch.STOP_TOPUP):
            rule = self._policy.switched_off(name, programme=programme.id, company=programme.issuer)
            if rule is not None:
                raise TOPUP_STOPPED.error(rule=rule)
        check_amount(rules, wish.amount_fen, cash=wish.channel == CASH)
        check_transfer(
            rules,
            wish.amount_fen,
            by_unit=by_unit,
            face_to_face=wish.face_to_face,
            channel=wish.channel,
        )
        check_buyer(
            rules,
            None if buyer is None else buyer.profile,
            wish.amount_fen,
            registered=programme.card_class is CardClass.REGISTERED,
        )
