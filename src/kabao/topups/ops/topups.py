"""The verbs of topping up: cash, its void, and reading."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from psycopg.errors import UniqueViolation

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import KEY_REUSED, NOT_FOUND
from kabao.base.ids import Ids, ids_of_day, to_edge
from kabao.cards.model import Proof, Resolved, Source
from kabao.cards.ops import Cards
from kabao.customers.ops import Customers
from kabao.funding.ops import Funding
from kabao.ledger.model import Dimensions, OperationState
from kabao.ledger.ops import Ledger
from kabao.merchants.model import OverrideAsk, OverrideVerb, Till
from kabao.merchants.ops import Merchants
from kabao.org.model import Store
from kabao.org.ops import Org
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import Policy
from kabao.topups import sql
from kabao.topups.model import REFUSALS, Known, Load, Loading, Refused, Status, TopUp, Void
from kabao.topups.model.topup import CASH
from kabao.topups.ops.between import Between
from kabao.topups.ops.bonuses import Bonuses
from kabao.topups.ops.online import PURPOSE, Online
from kabao.topups.ops.recalls import Recalls
from kabao.topups.ops.receipts import Receipts
from kabao.topups.ops.refunds import Refunds
from kabao.topups.ops.terms import NOBODY, TermsOf, Wish
from kabao.topups.sql import bonus as bonus_sql


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
        funding: Funding,
        clock: Clock,
        days: BusinessDays,
        ids: Ids,
    ) -> None:
        self._db, self._ledger, self._cards = db, ledger, cards
        self._merchants, self._org = merchants, org
        self._clock, self._days, self._ids = clock, days, ids
        self.terms = TermsOf(cards, customers, org, policy, clock, days)
        self.bonuses = Bonuses(ids, clock)
        self.between = Between(ledger, cards, policy, self.terms, ids)
        self.receipts = Receipts(ledger, cards, org)
        self.refunds = Refunds(ledger, cards, customers, funding, self.terms, ids)
        self.recalls = Recalls(ledger, cards, funding, self.terms, ids)
        verbs = self.terms, self.bonuses, self.refunds, self.recalls
        self.online = Online(db, ledger, cards, org, funding, *verbs, ids)
        funding.serve(PURPOSE, self.online)
        self._known_loader = self._load_known  # one object: the ledger groups reads by loader

    async def load(self, new: NewTopUp) -> TopUp:
        """Load a card with cash.

        Raises `secret_not_accepted`, `card_cannot_be_loaded`, `over_balance_limit`,
        `amount_out_of_range`, `bank_transfer_needed`, `topup_day_limit`,
        `buyer_identity_missing`, `topup_stopped`, `store_outside_group`, and what posting
        raises.
        """
        try:
            return await self._load(new)
        except UniqueViolation:  # its key came elsewhere at the same moment, and is known now
            return await self._load(new)

    async def _load(self, new: NewTopUp) -> TopUp:
        async with self._db.transaction() as conn:
            (outcome,) = await self._play(conn, [new])
        return _accepted(outcome)

    async def load_in(self, conn: Conn, loads: Sequence[NewTopUp]) -> list[TopUp]:
        """Load several cards in the caller's transaction, all or none. Raises as `load`."""
        return [_accepted(outcome) for outcome in await self._play(conn, loads)]

    async def _play(self, conn: Conn, loads: Sequence[NewTopUp]) -> list[TopUp | Refused]:
        """Cold, because caps and budgets are counted under locks of their own: first the
        cards, then whoever pays, then the rules of bonus.
        """
        found = await self._cards.resolve(conn, [new.source for new in loads])
        cards = [self._known(card, new) for card, new in zip(found, loads, strict=True)]
        await self._ledger.lock(conn, [NOBODY if c is None else c.root for c in cards])
        promised: dict[str, int] = {}
        commands = [
            await self._command(conn, new, card, promised)
            for new, card in zip(loads, cards, strict=True)
        ]
        return await self._ledger.post_in(conn, commands)

    async def _command(
        self, conn: Conn, new: NewTopUp, card: Resolved | None, promised: dict[str, int]
    ) -> Load:
        ident = self._ids.new()
        return Load(
            company=new.company,
            operation=ident,
            key=new.key,
            mac=new.mac,
            root=None if card is None else card.root,
            dims=_dims(new.store.id, new.till),
            loading=await self._loading(conn, ident, new, card, promised),
            insert=sql.insert_topups,
            give=bonus_sql.keep_grants,
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

    async def _loading(
        self,
        conn: Conn,
        ident: str,
        new: NewTopUp,
        card: Resolved | None,
        promised: dict[str, int],
    ) -> Loading | None:
        wish = Wish(new.amount_fen, new.store.id, CASH, new.payer, face_to_face=True)
        offer = await self.terms.offer(conn, card, wish)
        programme = NOBODY if card is None else card.programme
        root = NOBODY if card is None else card.root
        grant = await self.bonuses.plan(
            conn, programme, root, ident, new.amount_fen, self.terms.today, promised
        )
        if offer is None or card is None:
            return None
        return Loading(
            topup=_draft(ident, new, card),
            source=card,
            rules=offer.rules,
            card_class=offer.programme.card_class,
            selling_company=new.store.company,
            refused=offer.refused,
            grant=grant,
        )

    async def was_done(self, company: str, key: str) -> bool:
        """Whether this was asked and done before: its answer is only repeated."""
        async with self._db.read() as conn:
            known = await self._ledger.operation(conn, company, key)
        return known is not None and known.state == OperationState.ANSWERED

    async def claim(self, conn: Conn, company: str, key: str, mac: bytes) -> None:
        """Take the key that cash would be loaded by, for a top-up that somebody else pays for:
        in its transaction, after its locks. `mac` is that of its request.

        Raises `idempotency_key_reused`.
        """
        try:
            await self._ledger.bar(conn, company, key, self._ids.new(), "null", mac)
        except UniqueViolation:
            raise KEY_REUSED.error() from None

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
        assert topup.store is not None, "a cashier works in a store"
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
            dims=_dims_of(topup, own=own) if till is None else _dims(topup.store, till),
            loader=self._known_loader,
            wanted=(topup.id, topup.root, rules.text(names.CARD_LOT_ORDER)),
            topup=topup.id,
            shift=shift.id if shift else None,
            supervisor=supervisor,
            rules=rules,
            update=sql.update_topups,
            take_back=bonus_sql.take_back,
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
        issuers: Sequence[str] | None = None,
        card: str | None = None,
        reference: str | None = None,
        day: date | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[TopUp]:
        """Top-ups, newest first; `stores` None: of every store, `issuers` None: those of
        every issuer's cards that were bought in no store. Without card and reference it is
        one business day, today's if none is named.
        """
        if day is None and reference is None and card is None:
            day = self._days.of(self._clock.now_us())
        span = (day, *ids_of_day(self._days, day)) if day is not None else None
        return await sql.search(conn, stores, issuers, card, reference, span, before, limit)


def _dims(store: str | None, till: Till) -> Dimensions:
    return Dimensions(
        selling_store=store,
        terminal=till.terminal.id if till.terminal else None,
        cashier=till.cashier.id if till.cashier else None,
        shift=till.shift.id if till.shift else None,
        channel=CASH,
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
        channel=CASH,
        reference=new.reference,
        amount_fen=new.amount_fen,
        currency=new.currency,
        status=Status.CONFIRMED,
        balance_after_fen=0,
        confirmed_by=None,
        created_us=0,
        day=0,
        payer=new.payer,
    )


def _accepted(outcome: TopUp | Refused) -> TopUp:
    """What was loaded. Raises what was refused and still left a trace."""
    if isinstance(outcome, Refused):
        raise REFUSALS[outcome.code].error()
    return outcome
