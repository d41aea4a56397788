"""How a card changes: lock its root, look, decide, and store in one transaction.

Everything here plays through the ledger, under the lock that payments take, so
a freeze and a payment in flight have an order. What a card's row says is read
again under that lock, and written by the ledger's batch together with the root.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from kabao.base.clock import Clock, from_us
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND, KabaoError
from kabao.base.ids import Ids
from kabao.cards import sql_life as sql
from kabao.cards.claims import Believed, By
from kabao.cards.model import HOLDER_NOT_IDENTIFIED, Card, CardClass, Programme, is_over
from kabao.cards.ops import Cards
from kabao.cards.ops.stock import Stock
from kabao.cards.sql_life import Change, Recorded
from kabao.cards.states import CardState, Reason, Step, Verb, step
from kabao.customers.model import Level
from kabao.customers.ops import Customers
from kabao.ledger.model import (
    NOWHERE,
    STALE_ROOT,
    Act,
    Decision,
    Dimensions,
    Event,
    Lot,
    Moment,
    Move,
    Root,
)
from kabao.ledger.ops import Ledger
from kabao.policy.choices import Switch
from kabao.policy.model import Rules
from kabao.policy.names import PURCHASE_IDENTITY_REGISTERED_FROM_FEN
from kabao.policy.ops import Policy
from kabao.vault.ops import Vault


class Held(msgspec.Struct, frozen=True):
    """A card whose root is locked, with all that decides about it."""

    card: Card
    root: Root
    programme: Programme
    rules: Rules
    us: int

    @property
    def state(self) -> CardState:
        """The state as of now: validity ends at its hour, not when a job comes by."""
        over = is_over(self.root.valid_until, self.us, self.programme.terms.time_zone)
        if over and self.card.state is CardState.ACTIVE:
            return CardState.EXPIRED
        return self.card.state


class Done(msgspec.Struct, frozen=True):
    """What the ledger remembers of a change."""

    card: str
    state: CardState


class Asked(msgspec.Struct, frozen=True):
    """A verb as it is asked for: by whom, on what ground, and why."""

    verb: Verb
    by: By
    believed: Believed
    reason: Reason | None = None


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a change does besides the step in the table."""

    edit: Mapping[str, Any] = {}
    """Fields of the card's row."""
    root: Mapping[str, Any] = {}
    """Fields of the root."""
    moves: tuple[Move, ...] = ()
    lot: Lot | None = None
    other_card: str | None = None
    party: str | None = None
    amount_fen: int | None = None
    note: str = ""
    event: str | None = None
    """An event of its own, besides `card.state_changed`."""


NO_EFFECT = Effect()


class Changes:
    """What all verbs of a card's life stand on.

    Locks are taken in one order: number ranges, roots by id, a batch of
    plastic, then the chain of the ledger's shared writer, which `play` takes
    and keeps until the commit. So a transaction does one verb; whoever needs
    several first locks all their cards with `hold`.
    """

    def __init__(
        self,
        cards: Cards,
        ledger: Ledger,
        vault: Vault,
        policy: Policy,
        customers: Customers,
        stock: Stock,
        ids: Ids,
        clock: Clock,
    ) -> None:
        self._cards, self._ledger, self._vault = cards, ledger, vault
        self._policy, self._customers, self._stock = policy, customers, stock
        self._ids, self._clock = ids, clock

    async def hold(self, conn: Conn, *idents: str) -> list[Held]:
        """Lock the roots of cards, in id order, and read the cards under the locks.

        Raises `not_found`.
        """
        seen = await sql.cards(conn, idents)
        roots = await self._ledger.lock(conn, sorted({card.root for card in seen.values()}))
        cards = await sql.cards(conn, idents)
        held = []
        for ident in idents:
            card = cards.get(ident)
            if card is None or card.root not in roots:
                raise NOT_FOUND.error("There is no such card.")
            held.append(await self._held(conn, card, roots[card.root]))
        return held

    async def _held(self, conn: Conn, card: Card, root: Root) -> Held:
        programme = await self.programme_of(conn, card)
        rules = self._cards.rules_of(programme, self._cards.today(programme))
        return Held(card, root, programme, rules, self._clock.now_us())

    def act(
        self, held: Held, asked: Asked, effect: Effect = NO_EFFECT, dims: Dimensions = NOWHERE
    ) -> Act:
        """The command that changes one held card.

        Raises `card_state_forbids`, `invalid` (reason), `card_changed` (the
        secret that was shown is no longer the one in force).
        """
        state = held.card.state if asked.verb is Verb.EXPIRE else held.state
        found, reason = step(state, asked.verb, asked.reason)
        believed = asked.believed
        if believed.secret_version not in {None, held.root.secret_version}:
            raise STALE_ROOT.error()
        if believed.holder not in {None, held.card.holder}:
            raise STALE_ROOT.error()

        def run(root: Root | None, moment: Moment) -> Decision:
            assert root is not None, "a held card has a root"
            change = _change(held, asked, effect, (state, found, reason), moment)
            return Decision(
                result=Done(held.card.id, found.to),
                moves=effect.moves,
                set={"state": int(found.root), **effect.root},
                lot=effect.lot,
                rows=((sql.write_changes, change),),
                events=tuple(_events(change, effect)),
            )

        return Act(
            company=asked.by.company,
            operation=self._ids.new(),
            root=held.root.id,
            run=run,
            dims=dims,
        )

    async def play(self, conn: Conn, *acts: Act) -> None:
        """Post the commands in the caller's transaction, all or none."""
        await self._ledger.post_in(conn, acts)

    async def change(
        self, conn: Conn, held: Held, asked: Asked, effect: Effect = NO_EFFECT
    ) -> Card:
        """Change one held card; the card as it is now."""
        await self.play(conn, self.act(held, asked, effect, place(asked.by)))
        return await self.card(conn, held.card.id)

    async def card(self, conn: Conn, ident: str) -> Card:
        """A card. Raises `not_found`."""
        found = (await sql.cards(conn, [ident])).get(ident)
        if found is None:
            raise NOT_FOUND.error("There is no such card.")
        return found

    async def programme_of(self, conn: Conn, card: Card) -> Programme:
        """The programme a card belongs to."""
        known = self._cards.programme(card.programme)
        return known or await self._cards.find_programme(conn, card.programme)

    async def history(
        self, conn: Conn, card: str, *, before: int | None, limit: int
    ) -> list[Recorded]:
        """What happened to a card, the last first."""
        return await sql.history(conn, card, before=before, limit=limit)

    def require_running(self, switch: Switch, programme: Programme) -> None:
        """Raises `stopped` when this business is switched off for the programme."""
        self._policy.require_running(switch, programme=programme.id, company=programme.issuer)

    async def check_person(
        self, conn: Conn, customer: str, field: str, *, rule: str | None
    ) -> None:
        """A customer there is, with the real name known where `rule` asks for it.

        Raises `not_found`, `holder_not_identified`.
        """
        try:
            found = await self._customers.get(conn, customer)
        except KabaoError as unknown:
            if unknown.code is NOT_FOUND:
                raise NOT_FOUND.error("There is no such customer.", field=field) from None
            raise
        if rule is not None and not found.level.reaches(Level.IDENTITY):
            raise HOLDER_NOT_IDENTIFIED.error(rule=rule, field=field)

    async def check_holder(
        self, conn: Conn, customer: str, programme: Programme, field: str
    ) -> None:
        """A person who may hold a card of this programme: registered cards want
        the real name (CR-07). Raises `not_found`, `holder_not_identified`.
        """
        registered = programme.card_class is CardClass.REGISTERED
        rule = None
        if registered:
            rules = self._cards.rules_of(programme, self._cards.today(programme))
            rule = rules.row(PURCHASE_IDENTITY_REGISTERED_FROM_FEN)
        await self.check_person(conn, customer, field, rule=rule)


def place(by: By) -> Dimensions:
    """Where a change was made, as dimensions of its transfers."""
    return Dimensions(
        terminal=by.terminal,
        cashier=by.cashier,
        shift=by.shift,
        channel=by.channel,
    )


def _change(
    held: Held,
    asked: Asked,
    effect: Effect,
    taken: tuple[CardState, Step, Reason],
    moment: Moment,
) -> Change:
    """The card as it is to be, and the record of it."""
    state, found, reason = taken
    at, card, by = from_us(moment.us), held.card, asked.by
    after = card
    if found.to is not card.state or asked.verb is Verb.FREEZE:
        after = replace(card, state=found.to, reason=reason.value, state_at=at)
    return Change(
        before=card,
        after=replace(after, **effect.edit),
        verb=asked.verb,
        reason=reason,
        from_state=state,
        basis=asked.believed.basis,
        other_card=effect.other_card,
        party=effect.party,
        amount_fen=effect.amount_fen,
        note=effect.note or asked.believed.note,
        done_by=by.actor,
        store=by.store,
        terminal=by.terminal,
        approval=by.approval,
        at=at,
    )


def _events(change: Change, effect: Effect) -> Sequence[Event]:
    """What is told: never a secret, never a name."""
    told = {
        "card": change.after.id,
        "programme": change.after.programme,
        "verb": change.verb,
        "reason": change.reason,
        "from": change.from_state,
        "to": change.after.state,
        "basis": change.basis,
        "holder": change.after.holder,
        "other_card": change.other_card,
        "at": change.at.isoformat(),
    }
    events = []
    if change.after.state != change.from_state:
        events.append(Event("card.state_changed", told))
    if effect.event is not None:
        extra = {"amount": change.amount_fen, "party": change.party}
        events.append(Event(effect.event, told | extra))
    return events
