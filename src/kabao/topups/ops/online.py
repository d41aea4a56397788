"""Top-ups through payment channels: opened here, credited when `funding` says so (T-01 to T-05)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial

import msgspec
from msgspec.structs import replace

from kabao.base.db import Conn, Database
from kabao.base.ids import Ids, from_edge, to_edge
from kabao.cards.limits import SECRET_NOT_ACCEPTED
from kabao.cards.model import CardRef, Proof, Resolved, Source
from kabao.cards.ops import Cards
from kabao.funding.model.answers import Paid, Payer, Scene
from kabao.funding.model.collections import Ask, Collection, FundingRefund, Shown
from kabao.funding.ops import Funding
from kabao.ledger.model import Act, Decision, Dimensions, Moment, Root
from kabao.ledger.ops import Ledger
from kabao.merchants.model import Till
from kabao.org.model import Store
from kabao.org.ops import Org
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.topups import sql
from kabao.topups.model import REFUSALS, Refused, Status, TopUp
from kabao.topups.model.crediting import (
    Accepted,
    Prove,
    Terms,
    Writers,
    check_kind,
    confirm,
    give_up,
    open_,
)
from kabao.topups.model.limits import check_payer
from kabao.topups.ops.bonuses import Bonuses
from kabao.topups.ops.recalls import Recalls
from kabao.topups.ops.refunds import Refunds
from kabao.topups.ops.terms import Offer, TermsOf, Wish
from kabao.topups.sql import bonus as bonus_sql

PURPOSE = "topup"
"""In whose name money is collected."""

TOPUP = "top"

ANY = "any"
"""The channel of a top-up for which one is chosen."""

WRITERS = Writers(sql.insert_topups, sql.update_topups, bonus_sql.keep_grants, bonus_sql.take_back)

_Run = Callable[[Root | None, Moment], Decision]


class NewOnline(msgspec.Struct, frozen=True, kw_only=True):
    """A top-up to open, checked for form and scope."""

    company: str
    source: Source
    amount_fen: int
    currency: str
    channel: str | None
    """A channel's name or kind; None: one is chosen."""
    scene: Scene
    store: Store | None
    """None: an own online channel."""
    issuers: frozenset[str] | None
    """Whose cards the key may load where there is no store; None: everybody's."""
    till: Till
    reference: str | None
    payer: str | None
    return_url: str | None = None
    expires_us: int | None = None


class Online:
    """Opens top-ups, and is told by `funding` what becomes of their money."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        cards: Cards,
        org: Org,
        funding: Funding,
        terms: TermsOf,
        bonuses: Bonuses,
        refunds: Refunds,
        recalls: Recalls,
        ids: Ids,
    ) -> None:
        self._db, self._ledger, self._cards, self._org = db, ledger, cards, org
        self._funding, self._terms, self._bonuses = funding, terms, bonuses
        self._refunds, self._recalls, self._ids = refunds, recalls, ids

    # Opening

    async def prove(self, company: str, source: Source, key: str, mac: bytes) -> None:
        """Judge the secret that came with a card, in a transaction of its own: a wrong one is
        counted although nothing else happens. A card named by id shows none.

        Raises `secret_not_accepted`.
        """
        if isinstance(source, CardRef):
            return
        async with self._db.read() as conn:
            card = (await self._cards.resolve(conn, [source]))[0]
        rules = None if card is None else self._cards.rules(card.programme, self._terms.today)
        command = Prove(
            company=company,
            operation=self._ids.new(),
            key=key,
            mac=mac,
            root=None if card is None else card.root,
            source=card,
            rules=rules,
        )
        judged: Accepted | Refused = await asyncio.shield(self._ledger.post(command))
        if isinstance(judged, Refused):
            raise REFUSALS[judged.code].error()

    async def open_in(self, conn: Conn, new: NewOnline) -> TopUp:
        """Write a top-up down, with what is to be collected for it. After the commit `begin`
        asks the channel. The secret of its card was judged before (`prove`).

        Raises what `TopUps.load` raises, `channel_not_configured`, `channel_not_available`,
        `channel_limit_exceeded`, `source_not_allowed`.
        """
        card = self._known((await self._cards.resolve(conn, [new.source]))[0], new)
        if card is None:
            raise SECRET_NOT_ACCEPTED.error()
        ident = self._ids.new()
        # Collections are locked before cards, as in every step of theirs.
        by_unit = await self._terms.is_unit(conn, new.payer)
        ask = self._ask(new, card, ident, by_unit=by_unit)
        collection = await self._funding.open_in(conn, ask)
        await self._ledger.lock(conn, [card.root])
        wish = Wish(
            new.amount_fen,
            new.store.id if new.store else None,
            new.channel or "",
            new.payer,
            face_to_face=new.store is not None,
        )
        offer = await self._terms.offer(conn, card, wish)
        assert offer is not None, "it is known"
        if offer.refused is not None:
            raise offer.refused
        channel = await self._channel(conn, collection)
        grant = await self._bonuses.plan(
            conn, card.programme, card.root, ident, new.amount_fen, self._terms.today, {}
        )
        topup = _draft(ident, new, card, collection.id, channel)
        terms = self._of(topup, offer, collection)
        opened: TopUp = await self._play(
            conn, topup, self._ids.new(), partial(open_, replace(terms, grant=grant))
        )
        return opened

    def _known(self, card: Resolved | None, new: NewOnline) -> Resolved | None:
        """The card, if there is one that is loaded here."""
        if card is None:
            return None
        if new.store is not None:
            by_id = card.proof == Proof.SCOPE
            return None if by_id and not self._org.accepts(card.issuer, new.store.id) else card
        return card if new.issuers is None or card.issuer in new.issuers else None

    def _ask(self, new: NewOnline, card: Resolved, ident: str, *, by_unit: bool) -> Ask:
        rules = self._cards.rules(card.programme, self._terms.today)
        return Ask(
            purpose=PURPOSE,
            subject=to_edge(TOPUP, ident),
            company=self._collector(new.store, card.issuer),
            store=new.store.id if new.store else None,
            terminal=new.till.terminal.id if new.till.terminal else None,
            programme=card.programme,
            scene=new.scene,
            amount_fen=new.amount_fen,
            currency=new.currency,
            payer_ref=new.payer,
            no_credit=not rules.flag(names.TOPUP_CREDIT_CARD_ALLOWED),
            channel=new.channel,
            expires_us=new.expires_us,
            return_url=new.return_url,
            face_to_face=new.store is not None,
            by_unit=by_unit,
        )

    def _collector(self, store: Store | None, issuer: str) -> str:
        """Who gets the money: the store's company where it has channels of its own, else the
        card's issuer, whose custody it is to come into anyway (CR-52).
        """
        own = store is not None and self._funding.channels.of(store.company)
        return store.company if store is not None and own else issuer

    async def begin(self, topup: TopUp, payer: Payer) -> Shown:
        """Ask the channel; what the payer is to be shown."""
        assert topup.collection is not None, "cash is not collected"
        return await self._funding.begin(topup.collection, payer)

    async def cancel(self, topup: TopUp) -> Collection:
        """Want the money no more; what it then is, the collection tells."""
        assert topup.collection is not None, "cash is not collected"
        return await self._funding.cancel(topup.collection)

    async def ask(self, topup: TopUp) -> Collection:
        """Have the channel asked now."""
        assert topup.collection is not None, "cash is not collected"
        return await self._funding.ask(topup.collection)

    async def collections(self, conn: Conn, topups: Sequence[TopUp]) -> dict[str, Collection]:
        """What is collected for these top-ups, by id of the collection."""
        found = [t.collection for t in topups if t.collection is not None]
        return {ident: await self._funding.get(conn, ident) for ident in found}

    # What funding tells

    async def confirmed(self, conn: Conn, collection: Collection, paid: Paid) -> None:
        """See `funding.ports.Purpose`."""
        topup, offer = await self._awaited(conn, collection)
        channel = await self._channel(conn, collection)
        check_kind(offer.rules, channel, topup.amount_fen)
        if not offer.by_unit:
            await self._within_day(conn, topup, offer.rules, self._funding.payer_key(channel, paid))
        terms = self._of(replace(topup, channel=channel), offer, collection)
        grant = await bonus_sql.grant(conn, topup.id)
        run = partial(confirm, replace(terms, grant=grant))
        await self._play(conn, terms.topup, topup.id, run, occurred_us=paid.paid_us)

    async def given_up(
        self, conn: Conn, collection: Collection, code: str, rule: str | None
    ) -> None:
        """See `funding.ports.Purpose`."""
        topup, offer = await self._awaited(conn, collection)
        terms = self._of(topup, offer, collection)
        grant = await bonus_sql.grant(conn, topup.id)
        run = partial(give_up, replace(terms, grant=grant), code, rule)
        await self._play(conn, topup, self._ids.new(), run)

    async def refunded(self, conn: Conn, refund: FundingRefund) -> None:
        """See `funding.ports.Purpose`."""
        await self._refunds.told(conn, refund)

    async def recalled(self, conn: Conn, collection: Collection, gone: FundingRefund) -> None:
        """See `funding.ports.Purpose`."""
        await self._recalls.recalled(conn, from_edge(TOPUP, collection.subject), gone)

    async def _awaited(self, conn: Conn, collection: Collection) -> tuple[TopUp, Offer]:
        """The top-up of a collection, and what holds today. Nobody else changes it while its
        collection is locked.
        """
        ident = from_edge(TOPUP, collection.subject)
        topup = (await sql.load(conn, [ident]))[ident]
        programme = await self._cards.find_programme(conn, collection.programme)
        rules = self._cards.rules_of(programme, self._terms.today)
        return topup, Offer(programme, rules, collection.by_unit, None)

    async def _within_day(
        self, conn: Conn, topup: TopUp, rules: Rules, payer: bytes | None
    ) -> None:
        """Who paid is known now: nobody pays for more in a day by staying unnamed.

        Cards are locked before payers. Raises `topup_day_limit`.
        """
        if payer is None:
            return
        await self._ledger.lock(conn, [topup.root])
        day = date.fromordinal(topup.day)
        earlier_fen = await sql.paid_by(conn, topup.id, payer, day)
        check_payer(rules, earlier_fen + topup.amount_fen)

    async def _channel(self, conn: Conn, collection: Collection) -> str:
        """The kind of the channel that a collection is at."""
        orders = await self._funding.orders(conn, collection.id)
        current = next(order for order in orders if order.id == collection.current)
        return (await self._funding.channels.find(conn, current.channel)).kind

    def _of(self, topup: TopUp, offer: Offer, collection: Collection) -> Terms:
        card_class = offer.programme.card_class
        return Terms(topup, None, offer.rules, card_class, collection.company, WRITERS)

    async def _play(
        self,
        conn: Conn,
        topup: TopUp,
        operation: str,
        run: _Run,
        *,
        occurred_us: int | None = None,
    ) -> TopUp:
        act = Act(
            company=topup.company,
            operation=operation,
            root=topup.root,
            run=run,
            dims=replace(dims_of(topup), occurred_us=occurred_us),
        )
        done: TopUp = (await self._ledger.post_in(conn, [act]))[0]
        return done


def dims_of(topup: TopUp) -> Dimensions:
    """Where a top-up was made."""
    return Dimensions(
        selling_store=topup.store,
        terminal=topup.terminal,
        cashier=topup.cashier,
        shift=topup.shift,
        channel=topup.channel,
    )


def _draft(ident: str, new: NewOnline, card: Resolved, collection: str, channel: str) -> TopUp:
    till = new.till
    return TopUp(
        id=ident,
        company=new.company,
        root=card.root,
        card=card.card,
        last4=card.last4,
        store=new.store.id if new.store else None,
        terminal=till.terminal.id if till.terminal else None,
        cashier=till.cashier.id if till.cashier else None,
        shift=till.shift.id if till.shift else None,
        channel=channel,
        reference=new.reference,
        amount_fen=new.amount_fen,
        currency=new.currency,
        status=Status.PENDING,
        balance_after_fen=0,
        confirmed_by=None,
        created_us=0,
        day=0,
        payer=new.payer,
        scene=new.scene.value,
        collection=collection,
    )
