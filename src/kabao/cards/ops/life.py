"""A card's life: activate, freeze, report its loss, expire; and all in one class."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from kabao.base.clock import from_us, to_us
from kabao.base.db import Conn
from kabao.base.errors import Kind, code
from kabao.cards import sql_life as sql
from kabao.cards.claims import (
    CLAIM_TOO_WEAK,
    STAFF,
    SYSTEM,
    Basis,
    Believed,
    By,
    Claim,
)
from kabao.cards.model import HOLDER_NOT_IDENTIFIED, Card, CardClass, Carrier
from kabao.cards.ops.change import Asked, Effect, Held
from kabao.cards.ops.renew import Renewals
from kabao.cards.ops.value import CARD_NOT_EMPTY
from kabao.cards.states import (
    STATE_FORBIDS,
    CardState,
    Reason,
    Verb,
    check_lift,
    check_refreeze,
    step,
)
from kabao.ledger.model import Act, Purpose
from kabao.policy.choices import Switch
from kabao.policy.names import LOSS_BEARER_FREEZE_HOURS

DUE_AT_ONCE = 200
"""Cards a job changes in one transaction."""

_BY_CLOCK = "clock"

UNUSED_LOOK = 50
"""How many transfers are looked at to see whether a card was used since it was sold."""

USED_SINCE = code("card_used_since", Kind.REFUSED, "The card was used after it was sold.")


class Life(Renewals):
    """Everything that happens to a card after it was made and besides paying.

    Each verb takes the caller's transaction, checks the claim of whoever asks,
    locks the root account, decides by the table in `states`, and stores card,
    root, record and events together. One per process.
    """

    # --- activation ---------------------------------------------------------------------

    async def activate(
        self,
        conn: Conn,
        ident: str,
        by: By,
        *,
        holder: str | None = None,
        claim: Claim | None = None,
        reason: Reason | None = None,
    ) -> Card:
        """Make a card spendable; its validity starts today (P-18, CR-13).

        Plastic out of stock only where its stock is assigned (ATK-12). A
        registered card only with a holder whose real name is known (CR-07). A
        replacement from the post only on the claim of whoever received it; its
        validity goes on.

        Args:
            holder: the customer it is sold to, for a card that has none yet.

        Raises:
            KabaoError: `not_found`, `card_not_in_stock_here`,
                `holder_not_identified`, `claim_too_weak`, what `believe`
                raises, `card_state_forbids`, `stopped`.
        """
        believed = STAFF
        if claim is not None:
            believed = await self.believe(conn, claim, ident, Verb.ACTIVATE)
        (held,) = await self.hold(conn, ident)
        step(held.state, Verb.ACTIVATE, reason)
        if held.state is CardState.POSTED and claim is None:
            raise CLAIM_TOO_WEAK.error(rule="CR-30", field="claim")
        holder = held.card.holder or holder
        await self._check_first_holder(conn, held, holder)
        until = held.root.valid_until
        if held.state is not CardState.POSTED:
            self.require_running(Switch.STOP_SALE, held.programme)
            if held.card.carrier is Carrier.PHYSICAL:
                await self._stock.require_here(conn, held.card, by)
            until = self._cards.expiry(held.programme, held.rules)
        edit = {
            "holder": holder,
            "expires_on": until,
            "activated_at": from_us(held.us),
            "location": None,
        }
        return await self.change(
            conn,
            held,
            Asked(Verb.ACTIVATE, by, believed, reason),
            Effect(edit=edit, root={"valid_until": until}, party=holder, event="card.activated"),
        )

    async def unsell(self, conn: Conn, ident: str, by: By) -> Card:
        """Undo a sale at a till while the card is unused: plastic of a batch, without a
        holder, to which nothing has happened since but loads and their voids.

        Raises:
            KabaoError: `not_found`, `card_state_forbids`, `card_not_empty`,
                `card_used_since`, `card_not_in_stock_here`.
        """
        (held,) = await self.hold(conn, ident)
        step(held.state, Verb.UNSELL)
        if held.card.batch is None or held.card.holder is not None:
            raise STATE_FORBIDS.error("Only plastic that nobody holds goes back into stock.")
        if held.root.balance_fen:
            raise CARD_NOT_EMPTY.error()
        since_us = to_us(held.card.activated_at) if held.card.activated_at else 0
        moved = await self._ledger.transfers(conn, held.root.id, limit=UNUSED_LOOK)
        if any(t.recorded_us >= since_us and t.purpose not in _LOADS for t in moved):
            raise USED_SINCE.error()
        await self._stock.require_here(conn, held.card, by)
        edit = {"expires_on": None, "activated_at": None}
        return await self.change(
            conn,
            held,
            Asked(Verb.UNSELL, by, STAFF),
            Effect(edit=edit, root={"valid_until": None}, event="card.sale_undone"),
        )

    async def _check_first_holder(self, conn: Conn, held: Held, holder: str | None) -> None:
        """Whether the card may be in use with this holder, or with none (CR-07)."""
        if holder is not None:
            await self.check_holder(conn, holder, held.programme, "holder")
        elif held.programme.card_class is CardClass.REGISTERED:
            raise HOLDER_NOT_IDENTIFIED.error(rule="CR-07", field="holder")

    # --- freezing -----------------------------------------------------------------------

    async def freeze(
        self, conn: Conn, ident: str, reason: Reason, claim: Claim | None, by: By
    ) -> Card:
        """Stop a card until further notice; money can still come back to it.

        Args:
            claim: needed for reason `holder_request`, and only for it.

        Raises:
            KabaoError: `not_found`, `claim_too_weak`, what `believe` raises,
                `card_state_forbids`, `invalid` (reason).
        """
        believed = await self._for_reason(conn, ident, Verb.FREEZE, reason, claim)
        (held,) = await self.hold(conn, ident)
        step(held.state, Verb.FREEZE, reason)
        if held.state in _FROZEN:
            check_refreeze(_freeze_reason(held.card), reason)
        return await self.change(conn, held, Asked(Verb.FREEZE, by, believed, reason))

    async def unfreeze(
        self, conn: Conn, ident: str, reason: Reason, claim: Claim | None, by: By
    ) -> Card:
        """Lift a freeze, if the reason outweighs the one it is held for.

        Raises: as `freeze`, and `card_freeze_held`.
        """
        believed = await self._for_reason(conn, ident, Verb.UNFREEZE, reason, claim)
        (held,) = await self.hold(conn, ident)
        step(held.state, Verb.UNFREEZE, reason)
        check_lift(_freeze_reason(held.card), reason)
        edit: dict[str, object] = {}
        if held.state is CardState.LOST_FROZEN:
            reported = await sql.last_of(conn, ident, [Verb.REPORT_LOSS])
            edit["reason"] = reported.reason if reported is not None else Reason.LOST.value
        return await self.change(
            conn, held, Asked(Verb.UNFREEZE, by, believed, reason), Effect(edit=edit)
        )

    async def _for_reason(
        self, conn: Conn, ident: str, verb: Verb, reason: Reason, claim: Claim | None
    ) -> Believed:
        """The holder asks with a claim; the house gives a reason of its own."""
        if (reason is Reason.HOLDER_REQUEST) != (claim is not None):
            raise CLAIM_TOO_WEAK.error(
                "A claim goes with holder_request, and with nothing else.",
                rule="CR-30",
                field="claim",
            )
        return STAFF if claim is None else await self.believe(conn, claim, ident, verb)

    # --- loss ---------------------------------------------------------------------------

    async def report_loss(
        self, conn: Conn, ident: str, claim: Claim, reason: Reason | None, by: By
    ) -> Card:
        """Stop a lost card at once, whatever the carrier (P-15, ruling 3).

        A registered card stays stopped until its holder withdraws the report.
        A bearer card's report runs out by itself, and whoever has the card
        undoes it; after that, proof of purchase alone stops it no more, or a
        reseller could lock the buyer out for ever.

        Raises:
            KabaoError: `not_found`, what `believe` raises, `card_state_forbids`.
        """
        believed = await self.believe(conn, claim, ident, Verb.REPORT_LOSS)
        (held,) = await self.hold(conn, ident)
        found, why = step(held.state, Verb.REPORT_LOSS, reason)
        edit: dict[str, object] = {}
        if found.to is CardState.LOST_FROZEN:
            edit["reason"] = held.card.reason
        if held.programme.card_class is CardClass.BEARER:
            if believed.basis is Basis.PURCHASE:
                await self._check_not_undone(conn, held)
            hours = held.rules.int(LOSS_BEARER_FREEZE_HOURS)
            edit["frozen_until"] = from_us(held.us) + timedelta(hours=hours)
        return await self.change(
            conn,
            held,
            Asked(Verb.REPORT_LOSS, by, believed, why),
            Effect(edit=edit, event="card.loss_reported"),
        )

    async def _check_not_undone(self, conn: Conn, held: Held) -> None:
        """Whether somebody who has the card has undone a report before."""
        undone = await sql.last_of(conn, held.card.id, [Verb.WITHDRAW_LOSS])
        if undone is not None and undone.basis == Basis.POSSESSION:
            raise CLAIM_TOO_WEAK.error(
                "Whoever has the card has said that it is not lost.",
                rule=held.rules.row(LOSS_BEARER_FREEZE_HOURS),
                field="claim",
            )

    async def withdraw_loss(self, conn: Conn, ident: str, claim: Claim, by: By) -> Card:
        """The card was found. A freeze it was under still holds.

        Raises:
            KabaoError: `not_found`, what `believe` raises, `card_state_forbids`.
        """
        believed = await self.believe(conn, claim, ident, Verb.WITHDRAW_LOSS)
        (held,) = await self.hold(conn, ident)
        return await self.change(
            conn,
            held,
            Asked(Verb.WITHDRAW_LOSS, by, believed),
            Effect(edit=_loss_over(held), event="card.loss_withdrawn"),
        )

    # --- by the clock -------------------------------------------------------------------

    async def expire_due(self, conn: Conn) -> int:
        """Set active cards past their last day to expired, some at a time.

        Payments look at the root's own `valid_until`, so a card is refused
        from the first minute even if this comes late. Returns how many.
        """
        # No zone is further ahead of UTC than 14 hours.
        furthest = from_us(self._clock.now_us()) + timedelta(hours=14)
        due = await sql.over_on(conn, furthest.date(), DUE_AT_ONCE)
        held = [
            one
            for one in await self.hold(conn, *[card.id for card in due])
            if one.card.state is CardState.ACTIVE and one.state is CardState.EXPIRED
        ]
        return await self._by_clock(conn, held, Verb.EXPIRE, "card.expired")

    async def lapse_due(self, conn: Conn) -> int:
        """Let loss reports on bearer cards run out, some at a time (ruling 3: 72 h).

        Returns how many.
        """
        due = await sql.lapsed_at(conn, from_us(self._clock.now_us()), DUE_AT_ONCE)
        held = [
            one
            for one in await self.hold(conn, *[card.id for card in due])
            if one.state in _LOST
            and one.card.frozen_until is not None
            and one.card.frozen_until <= from_us(one.us)
        ]
        return await self._by_clock(conn, held, Verb.LAPSE_LOSS, "card.loss_lapsed")

    async def _by_clock(self, conn: Conn, held: Sequence[Held], verb: Verb, event: str) -> int:
        acts: list[Act] = []
        for one in held:
            by = By(_BY_CLOCK, one.programme.issuer)
            edit = _loss_over(one) if verb is Verb.LAPSE_LOSS else {}
            acts.append(self.act(one, Asked(verb, by, SYSTEM), Effect(edit=edit, event=event)))
        if acts:
            await self.play(conn, *acts)
        return len(acts)


_LOADS = frozenset({Purpose.LOAD, Purpose.LOAD_VOID})
_FROZEN = frozenset({CardState.FROZEN, CardState.LOST_FROZEN})
_LOST = frozenset({CardState.LOST, CardState.LOST_FROZEN})


def _freeze_reason(card: Card) -> Reason:
    """What a frozen card is held for."""
    assert card.reason is not None, "a freeze has a reason"
    return Reason(card.reason)


def _loss_over(held: Held) -> dict[str, object]:
    """The fields of a card whose loss is over; a freeze keeps its reason."""
    edit: dict[str, object] = {"frozen_until": None}
    if held.state is CardState.LOST_FROZEN:
        edit["reason"] = held.card.reason
    return edit
