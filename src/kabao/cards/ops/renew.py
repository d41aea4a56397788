"""New carriers for old value: replacement, exchange, transfer."""

from __future__ import annotations

from datetime import date, timedelta

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn
from kabao.base.errors import INVALID, Kind, code
from kabao.cards import sql_life as sql
from kabao.cards.claims import By, Claim
from kabao.cards.model import CARRIER_NOT_OFFERED, Card, CardClass, Carrier, Issued, Programme
from kabao.cards.ops.change import Asked, Effect, Held
from kabao.cards.ops.issue import Blank
from kabao.cards.ops.secrets import NewPin, fresh_secret
from kabao.cards.ops.value import COUNTER_ONLY, Value
from kabao.cards.states import CardState, Reason, Verb, step
from kabao.policy.choices import Switch
from kabao.policy.names import (
    CARD_VALIDITY_EXPIRED_REVIVES,
    LOSS_BEARER_FREEZE_HOURS,
    LOSS_REPLACEMENT_COUNTER_HOURS,
    LOSS_REPLACEMENT_ELECTRONIC_HOURS,
    LOSS_REPLACEMENT_PHYSICAL_HOURS,
    IntName,
)

TOO_EARLY = code(
    "replacement_too_early", Kind.REFUSED, "A lost card is replaced only after a while."
)
NOT_REPLACED = code(
    "bearer_card_not_replaced",
    Kind.REFUSED,
    "A lost bearer card is only stopped for a while: nobody can prove who has it.",
)
NOT_REVIVED = code("card_not_revived", Kind.REFUSED, "An expired card of this kind stays so.")


class Renewals(Value):
    """One value, another carrier: the root account stays, `root.card` moves on.

    The new carrier has its own number and PIN and the next secret version, so
    whatever opened the old one is refused from the commit on.
    """

    async def replace(
        self,
        conn: Conn,
        ident: str,
        claim: Claim,
        carrier: Carrier,
        reason: Reason | None,
        by: By,
    ) -> Issued:
        """A new carrier for a lost, damaged or compromised one (CR-28, ruling 3).

        In hand at once when electronic or handed over at the counter; else it
        travels, and is activated on arrival.

        Raises:
            KabaoError: what `believe` raises, `card_state_forbids`,
                `bearer_card_not_replaced`, `replacement_too_early`,
                `carrier_not_offered`, `number_range_full`.
        """
        in_hand = carrier is Carrier.ELECTRONIC or by.at_counter
        verb = Verb.REPLACE if in_hand else Verb.REPLACE_BY_POST
        believed = await self.believe(conn, claim, ident, verb)
        held = await self._hold_to_renew(conn, ident)
        step(held.state, verb, reason)
        if held.state is CardState.LOST:
            await self._check_wait(conn, held, carrier, by)
        return await self._renew(
            conn,
            held,
            Asked(verb, by, believed, reason),
            carrier,
            CardState.ACTIVE if in_hand else CardState.POSTED,
            event="card.replaced",
        )

    async def _check_wait(self, conn: Conn, held: Held, carrier: Carrier, by: By) -> None:
        """Whether a lost card may be replaced yet (P-15, ruling 3)."""
        if held.programme.card_class is CardClass.BEARER:
            raise NOT_REPLACED.error(rule=held.rules.row(LOSS_BEARER_FREEZE_HOURS))
        name: IntName = LOSS_REPLACEMENT_ELECTRONIC_HOURS
        if by.at_counter:
            name = LOSS_REPLACEMENT_COUNTER_HOURS
        elif carrier is Carrier.PHYSICAL:
            name = LOSS_REPLACEMENT_PHYSICAL_HOURS
        reported = await sql.last_of(conn, held.card.id, [Verb.REPORT_LOSS])
        since = reported.at if reported is not None else held.card.state_at
        from_then = to_us(since + timedelta(hours=held.rules.int(name)))
        if held.us < from_then:
            raise TOO_EARLY.error(
                f"By post from {rfc3339(from_then)} on; at the counter with identity at once.",
                rule=held.rules.row(name),
            )

    async def exchange(
        self, conn: Conn, ident: str, claim: Claim, carrier: Carrier, by: By
    ) -> Issued:
        """A new card for an expired one, its value intact and its validity new (CR-13).

        Raises:
            KabaoError: what `believe` raises, `card_state_forbids`,
                `card_not_revived`, `counter_only` (plastic), `carrier_not_offered`,
                `number_range_full`.
        """
        if carrier is Carrier.PHYSICAL and not by.at_counter:
            raise COUNTER_ONLY.error(rule="CR-13", field="terminal")
        believed = await self.believe(conn, claim, ident, Verb.EXCHANGE)
        held = await self._hold_to_renew(conn, ident)
        step(held.state, Verb.EXCHANGE)
        return await self._renew(
            conn,
            held,
            Asked(Verb.EXCHANGE, by, believed),
            carrier,
            CardState.ACTIVE,
            event="card.exchanged",
            expires_on=self._revived_until(held),
        )

    async def reactivate(self, conn: Conn, ident: str, claim: Claim, by: By) -> Card:
        """A new validity for an expired card, which stays in use (CR-13, P-18).

        Raises:
            KabaoError: what `believe` raises, `card_state_forbids`, `card_not_revived`.
        """
        believed = await self.believe(conn, claim, ident, Verb.REACTIVATE)
        (held,) = await self.hold(conn, ident)
        step(held.state, Verb.REACTIVATE)
        until = self._revived_until(held)
        return await self.change(
            conn,
            held,
            Asked(Verb.REACTIVATE, by, believed),
            Effect(
                edit={"expires_on": until, "state": CardState.ACTIVE},
                root={"valid_until": until},
                event="card.reactivated",
            ),
        )

    def _revived_until(self, held: Held) -> date | None:
        """The last day of a validity that starts anew today."""
        if not held.rules.flag(CARD_VALIDITY_EXPIRED_REVIVES):
            raise NOT_REVIVED.error(rule=held.rules.row(CARD_VALIDITY_EXPIRED_REVIVES))
        return self._cards.expiry(held.programme, held.rules)

    async def transfer(
        self, conn: Conn, ident: str, claim: Claim, to: str, reason: Reason | None, by: By
    ) -> NewPin | Issued:
        """A card goes to another person, from the notice on (CR-27).

        Plastic changes hands, name and PIN. An electronic card is renewed for
        the new holder, for the old one may have kept its barcode.

        Args:
            to: the customer who gets it, whose real name is known.

        Raises:
            KabaoError: `invalid` (it is theirs already), `holder_not_identified`,
                what `believe` raises, `card_state_forbids`, `stopped`,
                `number_range_full`.
        """
        card = await self.card(conn, ident)
        await self.check_holder(conn, to, await self.programme_of(conn, card), "to")
        plastic = card.carrier is Carrier.PHYSICAL
        verb = Verb.TRANSFER if plastic else Verb.TRANSFER_ANEW
        believed = await self.believe(conn, claim, ident, verb)
        if plastic:
            (held,) = await self.hold(conn, ident)
        else:
            held = await self._hold_to_renew(conn, ident)
        self.require_running(Switch.STOP_TRANSFER, held.programme)
        if held.card.holder == to:
            raise INVALID.error("The card is theirs already.", field="to")
        step(held.state, verb, reason)
        asked = Asked(verb, by, believed, reason)
        if not plastic:
            return await self._renew(
                conn,
                held,
                asked,
                Carrier.ELECTRONIC,
                CardState.ACTIVE,
                event="card.transferred",
                holder=to,
            )
        pin = self._fresh_pin(held.rules)
        effect = Effect(edit={"holder": to}, party=to, event="card.transferred")
        return NewPin(await self._put_pin(conn, held, asked, pin, effect), pin)

    async def _hold_to_renew(self, conn: Conn, ident: str) -> Held:
        """Lock the numbers that a new carrier is drawn from, then the card's root.

        A bulk issue keeps the numbers for as long as it stores a chunk; payments
        with the card need not wait for that.
        """
        card = await self.card(conn, ident)
        await self._cards.lock_numbers(conn, await self.programme_of(conn, card))
        (held,) = await self.hold(conn, ident)
        return held

    async def _renew(
        self,
        conn: Conn,
        held: Held,
        asked: Asked,
        carrier: Carrier,
        state: CardState,
        *,
        event: str,
        holder: str | None = None,
        expires_on: date | None = None,
    ) -> Issued:
        """Make the new carrier, and hand it the root."""
        _check_offered(held.programme, carrier, held.card)
        version = held.root.secret_version + 1
        holder = holder or held.card.holder
        until = expires_on or held.root.valid_until
        issued = await self._cards.make_card(
            conn,
            Blank(
                programme=held.programme,
                carrier=carrier,
                state=state,
                reason=asked.reason,
                expires_on=until,
                holder=holder,
                root=held.root.id,
                secret_version=version,
                replaces=held.card.id,
            ),
        )
        new = issued.card.id
        await self.change(
            conn,
            held,
            asked,
            Effect(
                edit={"replaced_by": new, "frozen_until": None},
                root={"card": new, "valid_until": until, **fresh_secret(version)},
                other_card=new,
                party=holder,
                event=event,
            ),
        )
        return issued


def _check_offered(programme: Programme, carrier: Carrier, old: Card) -> None:
    """A programme may have stopped making a carrier: then the same kind still goes."""
    if carrier not in programme.terms.carriers and carrier is not old.carrier:
        raise CARRIER_NOT_OFFERED.error(field="carrier")
