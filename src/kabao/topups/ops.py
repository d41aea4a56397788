"""The verbs of topping up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND, KabaoError
from kabao.base.ids import Ids, ids_of_day, to_edge
from kabao.cards.model import CardClass, Programme, Proof, Resolved, Source
from kabao.cards.ops import Cards
from kabao.customers.model import Customer, Party, check_buyer
from kabao.customers.ops import Customers
from kabao.ledger.model import Dimensions, OperationState
from kabao.ledger.ops import Ledger
from kabao.merchants.model import OverrideAsk, OverrideVerb, Till
from kabao.merchants.ops import Merchants
from kabao.org.model import Store
from kabao.org.ops import Org
from kabao.policy import names
from kabao.policy.choices import Switch
from kabao.policy.model import Rules
from kabao.policy.ops import Policy
from kabao.topups import sql
from kabao.topups.model import (
    REFUSALS,
    TOPUP_STOPPED,
    Known,
    Load,
    Loading,
    Refused,
    Status,
    TopUp,
    Void,
    check_amount,
)

NOBODY = "0" * 32
"""Looked for in place of a card or a person there is not."""


class NewTopUp(msgspec.Struct, frozen=True):
    """A top-up to make, checked for form and scope."""

    company: str
    key: str
    mac: bytes
    source: Source
    amount_fen: int
    currency: str
    store: Store
    till: Till
    reference: str | None
    payer: str | None


class TopUps:
    """Load cards with cash, and undo it."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        cards: Cards,
        customers: Customers,
        merchants: Merchants,
        org: Org,
        policy: Policy,
        clock: Clock,
        days: BusinessDays,
        ids: Ids,
    ) -> None:
        self._db, self._ledger, self._cards, self._customers = db, ledger, cards, customers
        self._merchants, self._org, self._policy = merchants, org, policy
        self._clock, self._days, self._ids = clock, days, ids
        self._known_loader = self._load_known  # one object: the ledger groups reads by loader

    async def load(self, new: NewTopUp) -> TopUp:
        """Load a card with cash.

        Raises `secret_not_accepted`, `card_cannot_be_loaded`, `over_balance_limit`,
        `amount_out_of_range`, `bank_transfer_needed`, `buyer_identity_missing`,
        `topup_stopped`, `store_outside_group`, and what posting raises.
        """
        async with self._db.read() as conn:
            command = await self._command(conn, new)
        outcome: TopUp | Refused = await asyncio.shield(self._ledger.post(command))
        return _accepted(outcome)

    async def load_in(self, conn: Conn, loads: Sequence[NewTopUp]) -> list[TopUp]:
        """Load several cards in the caller's transaction, all or none. Raises as `load`."""
        commands = [await self._command(conn, new) for new in loads]
        return [_accepted(outcome) for outcome in await self._ledger.post_in(conn, commands)]

    async def _command(self, conn: Conn, new: NewTopUp) -> Load:
        card = self._known((await self._cards.resolve(conn, [new.source]))[0], new)
        buyer = await self._buyer(conn, new.payer, card)
        ident = self._ids.new()
        return Load(
            company=new.company,
            operation=ident,
            key=new.key,
            mac=new.mac,
            root=None if card is None else card.root,
            dims=_dims(new.store.id, new.till),
            loading=None if card is None else self._loading(ident, new, card, buyer),
            insert=sql.insert_topups,
        )

    def _known(self, card: Resolved | None, new: NewTopUp) -> Resolved | None:
        """The card, if there is one. One named by id needs no secret, because a
        top-up only adds value; it is unknown to stores outside its group.
        """
        if card is None or (
            card.proof == Proof.SCOPE and not self._org.accepts(card.issuer, new.store.id)
        ):
            return None
        return card

    async def _buyer(self, conn: Conn, payer: str | None, card: Resolved | None) -> Customer | None:
        """Who pays: whoever is named, else the card's holder. The same is read for
        every source, so that time does not tell which of them is a card.
        """
        ident = payer or await self._cards.holder(conn, NOBODY if card is None else card.card)
        return await self._customers.find(conn, ident or NOBODY)

    def _loading(
        self, ident: str, new: NewTopUp, card: Resolved, buyer: Customer | None
    ) -> Loading:
        programme = self._cards.programme(card.programme)
        assert programme is not None, "a card without a programme"
        rules = self._cards.rules(card.programme, self._days.of(self._clock.now_us()))
        if new.payer is None and programme.card_class is not CardClass.REGISTERED:
            buyer = None  # having a bearer card bound to oneself is not paying for it
        return Loading(
            topup=_draft(ident, new, card),
            source=card,
            rules=rules,
            card_class=programme.card_class,
            selling_company=new.store.company,
            payer=new.payer,
            refused=self._refusal(new, programme, rules, buyer),
        )

    def _refusal(
        self, new: NewTopUp, programme: Programme, rules: Rules, buyer: Customer | None
    ) -> KabaoError | None:
        """The first rule that says no, whatever state the card is in."""
        try:
            self._org.require_accepted(programme.issuer, new.store.id)
            for name in (Switch.STOP_SALE, Switch.STOP_TOPUP):
                rule = self._policy.switched_off(
                    name, programme=programme.id, company=programme.issuer
                )
                if rule is not None:
                    raise TOPUP_STOPPED.error(rule=rule)
            by_unit = buyer is not None and buyer.party is Party.UNIT
            check_amount(rules, new.amount_fen, by_unit=by_unit)
            check_buyer(
                rules,
                None if buyer is None else buyer.profile,
                new.amount_fen,
                registered=programme.card_class is CardClass.REGISTERED,
            )
        except KabaoError as refused:
            return refused
        return None

    async def was_done(self, company: str, key: str) -> bool:
        """Whether this was asked and done before: its answer is only repeated."""
        async with self._db.read() as conn:
            known = await self._ledger.operation(conn, company, key)
        return known is not None and known.state == OperationState.ANSWERED

    async def allowed(
        self, topup: TopUp, cashier: str | None, override: str | None, *, key: str
    ) -> str | None:
        """The supervisor who lets this cashier, or else the one who took the cash, void a
        top-up: by an override, used up here for the request of `key`. None without one.

        Raises `override_not_valid`, and for a cashier who may not work in the store.
        """
        asking = cashier or topup.cashier
        if override is None or asking is None:
            return None
        async with self._db.read() as conn:
            rules = await self._rules(conn, topup)
        return await self._merchants.overrides.use(
            OverrideAsk(
                verb=OverrideVerb.TOPUP_VOID,
                store=topup.store,
                cashier=asking,
                subject=to_edge("top", topup.id),
                amount_fen=topup.amount_fen,
            ),
            override,
            key=key,
            row=rules.row(names.TOPUP_VOID_NEEDS_SUPERVISOR),
        )

    async def void(
        self,
        company: str,
        key: str,
        mac: bytes,
        topup: TopUp,
        supervisor: str | None,
        till: Till | None = None,
        *,
        unheard: bool = False,
    ) -> TopUp:
        """Undo a top-up whole. `supervisor` is who has allowed it with a PIN, see `allowed`;
        `till` gives the cash back: the one that took it, unless another is named.
        `unheard`: a till reverses it that never got an answer; neither a supervisor
        nor a window stands against that.

        Raises `topup_already_voided`, `topup_void_too_late`, `override_needed`,
        `topup_already_spent`.
        """
        async with self._db.read() as conn:
            command = await self._undoing(conn, company, key, mac, topup, supervisor, till)
        command = msgspec.structs.replace(command, unheard=unheard)
        voided: TopUp = await asyncio.shield(self._ledger.post(command))
        return voided

    async def void_in(
        self,
        conn: Conn,
        company: str,
        key: str,
        mac: bytes,
        topup: TopUp,
        supervisor: str | None,
        *,
        unheard: bool = False,
    ) -> TopUp:
        """As `void`, in the caller's transaction."""
        command = await self._undoing(conn, company, key, mac, topup, supervisor)
        command = msgspec.structs.replace(command, unheard=unheard)
        voided: TopUp = (await self._ledger.post_in(conn, [command]))[0]
        return voided

    async def _undoing(
        self,
        conn: Conn,
        company: str,
        key: str,
        mac: bytes,
        topup: TopUp,
        supervisor: str | None,
        till: Till | None = None,
    ) -> Void:
        shift = self._merchants.open_shift(topup.cashier) if topup.cashier else None
        rules = await self._rules(conn, topup)
        own = shift is not None and shift.id == topup.shift
        return Void(
            company=company,
            operation=self._ids.new(),
            key=key,
            mac=mac,
            root=topup.root,
            dims=_dims(topup.store, till) if till is not None else _dims_of(topup, own=own),
            loader=self._known_loader,
            wanted=(topup.id, topup.root, rules.text(names.CARD_LOT_ORDER)),
            topup=topup.id,
            shift=shift.id if shift else None,
            supervisor=supervisor,
            rules=rules,
            update=sql.update_topups,
        )

    async def _rules(self, conn: Conn, topup: TopUp) -> Rules:
        """What policy says today for a top-up's card."""
        root = await self._ledger.root(conn, topup.root)
        assert root is not None, "a top-up without a root"
        return self._cards.rules(root.programme, self._days.of(self._clock.now_us()))

    async def _load_known(self, conn: Conn, wanted: Sequence[Any]) -> dict[Any, Known]:
        """Top-ups and the derivation of their cards' lots, under the lock."""
        topups = await sql.load(conn, [ident for ident, _, _ in wanted])
        known = {}
        for ident, root, order in dict.fromkeys(wanted):
            derived = await self._ledger.lots(conn, root, order)
            now = await self._ledger.root(conn, root)
            assert now is not None, "a top-up without a root"
            known[ident, root, order] = Known(topups[ident], derived, now.seq)
        return known

    async def get(self, conn: Conn, ident: str) -> TopUp:
        """A top-up. Raises `not_found`."""
        found = (await sql.load(conn, [ident])).get(ident)
        if found is None:
            raise NOT_FOUND.error("There is no such top-up.")
        return found

    async def many(self, conn: Conn, wanted: Sequence[str]) -> dict[str, TopUp]:
        """Top-ups by id; unknown ones are absent."""
        return await sql.load(conn, wanted)

    async def search(
        self,
        conn: Conn,
        *,
        stores: Sequence[str] | None,
        card: str | None = None,
        reference: str | None = None,
        day: date | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[TopUp]:
        """Top-ups, newest first; `stores` None: of every store. Without card and reference
        it is one business day, today's if none is named.
        """
        if day is None and reference is None and card is None:
            day = self._days.of(self._clock.now_us())
        span = (day, *ids_of_day(self._days, day)) if day is not None else None
        return await sql.search(conn, stores, card, reference, span, before, limit)


def _dims(store: str, till: Till) -> Dimensions:
    return Dimensions(
        selling_store=store,
        terminal=till.terminal.id if till.terminal else None,
        cashier=till.cashier.id if till.cashier else None,
        shift=till.shift.id if till.shift else None,
        channel="cash",
    )


def _dims_of(topup: TopUp, *, own: bool) -> Dimensions:
    """Where a top-up was made; the store alone once its shift is closed and counted."""
    return Dimensions(
        selling_store=topup.store,
        terminal=topup.terminal if own else None,
        cashier=topup.cashier if own else None,
        shift=topup.shift if own else None,
        channel=topup.channel,
    )


def _draft(ident: str, new: NewTopUp, card: Resolved) -> TopUp:
    till = new.till
    return TopUp(
        id=ident,
        company=new.company,
        root=card.root,
        card=card.card,
        last4=card.last4,
        store=new.store.id,
        terminal=till.terminal.id if till.terminal else None,
        cashier=till.cashier.id if till.cashier else None,
        shift=till.shift.id if till.shift else None,
        channel="cash",
        reference=new.reference,
        amount_fen=new.amount_fen,
        currency=new.currency,
        status=Status.CONFIRMED,
        balance_after_fen=0,
        confirmed_by=None,
        created_us=0,
        day=0,
    )


def _accepted(outcome: TopUp | Refused) -> TopUp:
    """What was loaded. Raises what was refused and still left a trace."""
    if isinstance(outcome, Refused):
        raise REFUSALS[outcome.code].error()
    return outcome
