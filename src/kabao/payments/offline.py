"""Sales made while the line was dead, uploaded afterwards (P-20, ruling 10).

The goods are gone: within the caps of policy the card pays what it can, and what
it cannot pay is the issuer's loss, never a negative card. Over a cap, or for a
card nobody knows, the sale is refused and the store bears it. All three parts of
every sale stand in the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial

import msgspec
from msgspec.structs import replace

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import KEY_REUSED, UNAVAILABLE
from kabao.base.ids import Ids, to_edge
from kabao.base.money import MAX_FEN
from kabao.cards.claims import unsecret
from kabao.cards.model import Barcode, CardRef, Proof, Resolved, Source, Track
from kabao.cards.ops import Cards
from kabao.ledger.model import Account, Act, Decision, Moment, Move, Purpose, Root
from kabao.ledger.ops import Ledger
from kabao.paycodes.model import PhoneCode
from kabao.paycodes.ops import PayCodes
from kabao.payments import sql_offline as sql
from kabao.payments.model import Decline, Payment, Place
from kabao.payments.offline_terms import Caps, Grant, OfflineTerms, caps_of
from kabao.payments.ops import Payments
from kabao.payments.pay import Request, Stale, Terms, command
from kabao.payments.rules import dimensions
from kabao.payments.sql_offline import OfflineRow, Used
from kabao.vault.ops import Vault

CHANNEL = "offline"
SKEW_US = 300_000_000
"""How far a till's clock may be ahead of ours: what happened later is not believed."""

NO_LIMIT = 2**40

Shown = Barcode | Track | PhoneCode
"""What a till can read without a line. A PIN could not be checked there."""

_NOBODY = CardRef("")


class OfflineSale(msgspec.Struct, frozen=True):
    """One sale as the till kept it."""

    sequence: int
    amount_fen: int
    currency: str
    source: Shown
    reference: str | None
    occurred_us: int
    grant: str
    """What the till was granted for the card (`OfflineTerms`)."""
    cashier: str | None = None
    shift: str | None = None
    """The shift it counts for, if that is still open."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a sale is not honoured, and the row of the rule."""

    reason: str
    rule: str | None


def over_caps(
    caps: Caps, grant: Grant | None, sale: OfflineSale, card: Used, terminal: Used, now_us: int
) -> Refusal | None:
    """Whether a sale is outside what is honoured. Pure; a cap itself is still within."""
    if not caps.allowed:
        return Refusal("offline_not_allowed", "ruling 10")
    if sale.occurred_us > now_us + SKEW_US:
        return Refusal("in_the_future", "P-20")
    if now_us - sale.occurred_us > caps.upload_us:
        return Refusal("uploaded_too_late", "P-20")
    if grant is None or sale.occurred_us < grant.from_us - SKEW_US:
        return Refusal("not_granted", "ruling 10")
    if sale.occurred_us >= grant.until_us + SKEW_US:
        return Refusal("terms_expired", "ruling 10")
    if card.count:
        return Refusal("card_sold_before", "ruling 10")
    if sale.amount_fen > min(caps.card_fen, grant.most_fen):
        return Refusal("over_card_cap", "ruling 10")
    if terminal.count >= caps.terminal_count:
        return Refusal("over_terminal_count", "ruling 10")
    if terminal.fen + sale.amount_fen > caps.terminal_fen:
        return Refusal("over_terminal_cap", "ruling 10")
    return None


def lose(store: str, payment: str, amount_fen: int, root: Root | None, moment: Moment) -> Decision:
    """The issuer pays the store through the card, which is left as it was. Pure."""
    del moment
    assert root is not None, "a card has a root"
    moves = (
        Move(Account.LOSS, Account.PRINCIPAL, amount_fen, Purpose.LOSS, root.issuer, payment),
        Move(Account.PRINCIPAL, Account.REDEEMED, amount_fen, Purpose.LOSS, store, payment),
    )
    return Decision(result={"lost": amount_fen}, moves=moves)


class OfflineSales:
    """Judge, pay and report what tills sold without a line."""

    def __init__(
        self,
        db: Database,
        payments: Payments,
        ledger: Ledger,
        cards: Cards,
        paycodes: PayCodes,
        vault: Vault,
        clock: Clock,
        days: BusinessDays,
        ids: Ids,
    ) -> None:
        self._db, self._payments, self._ledger, self._cards = db, payments, ledger, cards
        self._paycodes, self._vault = paycodes, vault
        self._clock, self._days, self._ids = clock, days, ids
        self.terms = OfflineTerms(payments, ledger, cards, paycodes, vault, clock, days)

    async def has_all(self, place: Place, sequences: Sequence[int]) -> bool:
        """Whether a terminal has uploaded all of these before: nothing would be booked."""
        assert place.terminal is not None
        async with self._db.read() as conn:
            known = await sql.known(conn, place.terminal, sequences)
        return known.keys() >= set(sequences)

    async def upload(
        self, conn: Conn, company: str, place: Place, sales: Sequence[OfflineSale]
    ) -> list[OfflineRow]:
        """Book sales of one terminal, each once by its sequence; in their order.

        Raises `idempotency_key_reused` when a sequence comes again with another
        sale, `unavailable` while a card is changing.
        """
        assert place.terminal is not None
        await sql.lock_terminal(conn, place.terminal)
        known = await sql.known(conn, place.terminal, [sale.sequence for sale in sales])
        fresh = [sale for sale in sales if sale.sequence not in known]
        found = await self._resolve(conn, fresh)
        roots = {card.root for card in found if card is not None}
        await self._ledger.lock(conn, sorted(roots))
        for sale, card in zip(fresh, found, strict=True):
            if sale.sequence not in known:
                row = await self._judge(conn, company, place, sale, card)
                await sql.insert(conn, row)
                known[sale.sequence] = row
        for sale in sales:
            if known[sale.sequence].mac != self._mac_of(place.store, sale):
                raise KEY_REUSED.error(
                    f"Sequence {sale.sequence} was another sale.", rule="P-19", field="sales"
                )
        return [known[sale.sequence] for sale in sales]

    async def _resolve(self, conn: Conn, sales: Sequence[OfflineSale]) -> list[Resolved | None]:
        """The card of each sale; None for one there is not, or whose phone did not sign."""
        sources: list[Source] = []
        for sale in sales:
            if isinstance(sale.source, PhoneCode):
                card = await self._paycodes.card_of_phone(conn, sale.source, sale.occurred_us)
                sources.append(CardRef(to_edge("card", card)) if card else _NOBODY)
            else:
                sources.append(sale.source)
        return [
            replace(card, proof=Proof.RIGHT) if card and isinstance(source, CardRef) else card
            for source, card in zip(sources, await self._cards.resolve(conn, sources), strict=True)
        ]

    async def report(
        self,
        conn: Conn,
        stores: Sequence[str] | None,
        first: date,
        last: date,
        after: tuple[str, int] | None,
        limit: int,
    ) -> tuple[list[OfflineRow], sql.Totals]:
        """Sales of some days, a page of them, and the totals of all."""
        rows = await sql.report(conn, stores, first, last, after, limit)
        return rows, await sql.totals(conn, stores, first, last)

    def _mac_of(self, store: str, sale: OfflineSale) -> bytes:
        shown = sale.source if isinstance(sale.source, PhoneCode) else unsecret(sale.source)
        said = (store, sale.sequence, sale.amount_fen, sale.currency, shown, sale.occurred_us)
        return self._vault.mac("offline_sale", msgspec.json.encode(said))

    async def _judge(
        self,
        conn: Conn,
        company: str,
        place: Place,
        sale: OfflineSale,
        card: Resolved | None,
    ) -> OfflineRow:
        """What becomes of one sale, booked in the caller's transaction."""
        assert place.terminal is not None
        now_us = self._clock.now_us()
        sold_on = self._days.of(sale.occurred_us)
        row = OfflineRow(
            terminal=place.terminal,
            sequence=sale.sequence,
            store=place.store,
            company=company,
            cashier=sale.cashier,
            root=card.root if card else None,
            issuer=card.issuer if card else None,
            payment=None,
            reference=sale.reference,
            amount_fen=sale.amount_fen,
            paid_fen=0,
            lost_fen=0,
            refused_fen=sale.amount_fen,
            reason=None,
            rule=None,
            mac=self._mac_of(place.store, sale),
            occurred_us=sale.occurred_us,
            uploaded_us=now_us,
            sold_on=sold_on,
        )
        terms = self._payments.terms(card, place)
        if card is None or terms is None:
            return replace(row, reason=Decline.CARD_NOT_ACCEPTED)
        if card.proof == Proof.NONE:
            return replace(row, reason=Decline.PIN_REQUIRED, rule="P-07")
        if terms.store is not None:
            return replace(row, reason=terms.store.code, rule=terms.store.rule)
        refused = over_caps(
            caps_of(self._cards.rules(card.programme, sold_on)),
            self.terms.granted(place, card.root, sale.grant),
            sale,
            await sql.used_of_card(conn, card.root, sold_on),
            await sql.used_of_terminal(conn, place.terminal, sold_on),
            now_us,
        )
        if refused is not None:
            return replace(row, reason=refused.reason, rule=refused.rule)
        return await self._book(conn, row, sale, card, terms, place)

    async def _book(
        self,
        conn: Conn,
        row: OfflineRow,
        sale: OfflineSale,
        card: Resolved,
        terms: Terms,
        place: Place,
    ) -> OfflineRow:
        """The card pays what it can, the issuer what is missing."""
        place = replace(place, cashier=sale.cashier, shift=sale.shift, occurred_us=sale.occurred_us)
        payment = await self._pay(conn, row, sale, card, terms, place)
        lost_fen = sale.amount_fen - payment.approved_fen
        if lost_fen:
            act = Act(
                company=row.company,
                operation=self._ids.new(),
                root=card.root,
                run=partial(lose, place.store, payment.id, lost_fen),
                dims=dimensions(place),
            )
            await self._ledger.post_in(conn, [act])
        reason = payment.decline_code or (Decline.INSUFFICIENT_FUNDS if lost_fen else None)
        return replace(
            row,
            payment=payment.id,
            paid_fen=payment.approved_fen,
            lost_fen=lost_fen,
            refused_fen=0,
            reason=reason,
            rule=payment.rule or ("P-16" if lost_fen else None),
        )

    async def _pay(
        self,
        conn: Conn,
        row: OfflineRow,
        sale: OfflineSale,
        card: Resolved,
        terms: Terms,
        place: Place,
    ) -> Payment:
        """An ordinary payment of what is there: only the caps limit it."""
        request = Request(
            id=self._ids.new(),
            company=row.company,
            key=f"pay/offline {row.terminal} {row.sequence}",  # a blank: no client's key
            mac=row.mac,
            amount_fen=sale.amount_fen,
            currency=sale.currency,
            place=place,
            reference=sale.reference,
            accept_partial=True,
        )
        limits = replace(
            terms.limits,
            single_fen=MAX_FEN,
            day_count=NO_LIMIT,
            day_sum_fen=NO_LIMIT,
            burst_from_count=NO_LIMIT,
            sudden_from_fen=NO_LIMIT,
            partial=True,
        )
        asked = command(request, card, replace(terms, limits=limits))
        payment: Payment | Stale = (await self._ledger.post_in(conn, [asked]))[0]
        if isinstance(payment, Stale):
            raise UNAVAILABLE.error("The card is changing; try again.")
        return payment
