"""Proving that a card is one's own, and changing its PIN."""

from __future__ import annotations

import re
import secrets
from typing import Any

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn
from kabao.base.errors import Kind, code
from kabao.cards import sql_life as sql
from kabao.cards.claims import (
    CLAIM_TOO_WEAK,
    NOT_THE_HOLDER,
    Basis,
    Believed,
    By,
    ByHolder,
    ByPossession,
    ByPurchase,
    Claim,
    accepted,
    basis_of,
)
from kabao.cards.limits import SECRET_NOT_ACCEPTED, US_PER_MINUTE, judge_secret
from kabao.cards.model import (
    APPROVAL_NEEDED,
    Card,
    CardRef,
    Programme,
    Proof,
    Resolved,
    is_weak_pin,
)
from kabao.cards.numbers import draw_pins
from kabao.cards.ops.change import Asked, Changes, Effect, Held
from kabao.cards.ops.issue import SALT_BYTES
from kabao.cards.states import Reason, Verb, step
from kabao.ledger.model import CommandBase, Decision, Moment, Root
from kabao.policy.model import Rules
from kabao.policy.names import (
    APPROVAL_ACTIONS,
    APPROVAL_VALID_HOURS,
    PIN_LENGTH_DIGITS,
    PIN_TRIES_COUNT,
    PIN_WEAK,
)

PIN_NOT_ALLOWED = code("pin_not_allowed", Kind.REFUSED, "This PIN is too easy to guess.")

RESET_ACTION = "pin_reset"
"""What an approval of a PIN reset is called in policy `approval.actions`."""

CLAIM_RULE = "CR-30"
"""The row by which a registered card obeys its holder and a bearer card who has it."""

US_PER_HOUR = 60 * US_PER_MINUTE


class Verdict(msgspec.Struct, frozen=True):
    """Whether a secret counted."""

    accepted: bool


class Shown(msgspec.Struct, frozen=True):
    """What a secret proved before the lock, and which version it was compared with."""

    version: int
    proof: Proof
    pin_proved: bool

    @classmethod
    def of(cls, found: Resolved | None) -> Shown | None:
        """Of a source that was looked up."""
        if found is None:
            return None
        return cls(found.secret_version, found.proof, found.pin_proved)


class JudgeSecret(CommandBase, frozen=True, kw_only=True):
    """The command to count a secret, and nothing else.

    A refusal is kept: one whose commit is not answered is not counted again,
    and a card there is costs the same as one there is not.
    """

    card: str
    shown: Shown | None
    """None: a source that is not this card's, whoever's it may be."""
    rules: Rules

    def decide(self, root: Root | None, moment: Moment, loaded: Any) -> Decision:
        """Under the lock."""
        del loaded
        shown = self.shown
        if root is None or shown is None:
            return Decision(result=Verdict(accepted=False))
        if (root.card, root.secret_version) != (self.card, shown.version):
            return Decision(result=Verdict(accepted=False))
        judged = judge_secret(root, shown.proof, self.rules, moment, pin_proved=shown.pin_proved)
        return Decision(
            result=Verdict(accepted=judged.accepted),
            set=judged.set or None,
            remember=not judged.accepted,
        )

    def recall(self, result: bytes) -> Verdict:
        """The refusal again."""
        return msgspec.json.decode(result, type=Verdict)


class NewPin(msgspec.Struct, frozen=True):
    """A PIN drawn for a card, to be shown once."""

    card: Card
    pin: str

    def __repr__(self) -> str:
        return f"NewPin({self.card.id})"


class Secrets(Changes):
    """Claims and PINs. A wrong secret counts even when the caller's transaction
    rolls back: it is judged in one of its own, through a lane, before the
    caller takes any lock.
    """

    async def believe(self, conn: Conn, claim: Claim, ident: str, verb: Verb) -> Believed:
        """Whether a claim to a card holds and is enough for a verb.

        Raises:
            KabaoError: `not_found`, `claim_too_weak`, `not_the_holder`,
                `holder_not_identified`, `secret_not_accepted`.
        """
        card, programme, rules = await self._known(conn, ident)
        enough = accepted(programme.card_class, verb)
        if basis_of(claim) not in enough:
            raise CLAIM_TOO_WEAK.error(
                f"To {verb} a {programme.card_class} card takes: {', '.join(sorted(enough))}.",
                rule=CLAIM_RULE,
                field="claim",
            )
        match claim:
            case ByHolder():
                return await self._by_holder(conn, card, programme, claim.customer)
            case ByPossession():
                return await self._by_possession(conn, card, rules, claim)
            case ByPurchase():
                return Believed(Basis.PURCHASE, note=claim.reference)

    async def _known(self, conn: Conn, ident: str) -> tuple[Card, Programme, Rules]:
        """A card with what is known of it without a lock."""
        card = await self.card(conn, ident)
        programme = await self.programme_of(conn, card)
        return card, programme, self._cards.rules_of(programme, self._cards.today(programme))

    async def _by_holder(
        self, conn: Conn, card: Card, programme: Programme, customer: str
    ) -> Believed:
        if card.holder is None or card.holder != customer:
            raise NOT_THE_HOLDER.error(rule=CLAIM_RULE, field="claim")
        await self.check_holder(conn, customer, programme, "claim")
        return Believed(Basis.HOLDER, holder=customer)

    async def _by_possession(
        self, conn: Conn, card: Card, rules: Rules, claim: ByPossession
    ) -> Believed:
        if isinstance(claim.source, CardRef):
            raise CLAIM_TOO_WEAK.error("An id shows nothing.", rule=CLAIM_RULE, field="claim")
        (found,) = await self._cards.resolve(conn, [claim.source])
        if found is not None and found.card != card.id:
            found = None  # somebody else's card is as good as none
        await self._judge(card, Shown.of(found), rules, "claim")
        assert found is not None, "a card that is not there is never accepted"
        return Believed(Basis.POSSESSION, secret_version=found.secret_version)

    async def _prove_pin(self, conn: Conn, card: Card, rules: Rules, pin: str) -> Believed:
        """Whether this is the card's PIN. Raises `secret_not_accepted`."""
        kept = await sql.pin(conn, card.id)
        proof = Proof.NO_PIN_SET
        version = 0
        if kept is not None:
            version = kept.secret_version
            if kept.pin_salt is not None and kept.pin_mac is not None:
                right = self._vault.pin_matches(pin, kept.pin_salt, kept.pin_mac)
                proof = Proof.RIGHT if right else Proof.WRONG
        await self._judge(card, Shown(version, proof, pin_proved=True), rules, "pin")
        return Believed(Basis.POSSESSION, secret_version=version)

    async def _judge(self, card: Card, shown: Shown | None, rules: Rules, field: str) -> None:
        """Count a secret in a transaction of its own, under the root's lock."""
        ident = self._ids.new()
        command = JudgeSecret(
            # Nothing but refusals is kept, so whose key it would be says nothing.
            company=card.programme,
            operation=ident,
            key=f"secret/{ident}",
            root=None if shown is None else card.root,
            card=card.id,
            shown=shown,
            rules=rules,
        )
        verdict = await self._ledger.post(command)
        if not verdict.accepted:
            raise SECRET_NOT_ACCEPTED.error(rule=rules.row(PIN_TRIES_COUNT), field=field)

    # --- PINs ---------------------------------------------------------------------------

    async def change_pin(self, conn: Conn, ident: str, old: str, new: str, by: By) -> Card:
        """The holder puts another PIN in the place of the old one.

        Payments under way with the old one are refused from the commit on.

        Raises:
            KabaoError: `not_found`, `pin_not_allowed`, `secret_not_accepted`
                (wrong or locked), `card_state_forbids`.
        """
        card, _, rules = await self._known(conn, ident)
        _check_pin(new, rules)
        believed = await self._prove_pin(conn, card, rules, old)
        (held,) = await self.hold(conn, ident)
        return await self._put_pin(conn, held, Asked(Verb.CHANGE_PIN, by, believed), new)

    async def reset_pin(
        self, conn: Conn, ident: str, claim: Claim, reason: Reason | None, by: By
    ) -> NewPin:
        """A forgotten PIN: a fresh one, drawn here and shown once (K-06, ATK-11).

        Takes a second person where policy says so: `permit_reset` has left a
        permit for this card and this maker, and it is used up here.

        Raises:
            KabaoError: `not_found`, `approval_needed`, whatever `believe`
                raises, `card_state_forbids`.
        """
        card, _, rules = await self._known(conn, ident)
        believed = await self.believe(conn, claim, ident, Verb.RESET_PIN)
        (held,) = await self.hold(conn, ident)
        step(held.state, Verb.RESET_PIN, reason)
        if by.approval is None and RESET_ACTION in rules.texts(APPROVAL_ACTIONS):
            at = from_us(held.us)
            approval = await sql.use_permit(conn, card.id, by.actor, at)
            if approval is None:
                raise APPROVAL_NEEDED.error(rule=rules.row(APPROVAL_ACTIONS))
            by = msgspec.structs.replace(by, approval=approval)
        pin = self._fresh_pin(rules)
        changed = await self._put_pin(conn, held, Asked(Verb.RESET_PIN, by, believed, reason), pin)
        return NewPin(changed, pin)

    async def permit_reset(
        self, conn: Conn, ident: str, approval: str, makers: frozenset[str]
    ) -> None:
        """What the executor of an approved reset calls: the maker may now do it, once.

        Raises `not_found`.
        """
        _, _, rules = await self._known(conn, ident)
        until_us = self._clock.now_us() + rules.int(APPROVAL_VALID_HOURS) * US_PER_HOUR
        await sql.add_permit(conn, approval, ident, sorted(makers), from_us(until_us))

    def _fresh_pin(self, rules: Rules) -> str:
        (pin,) = draw_pins(rules.int(PIN_LENGTH_DIGITS), frozenset(rules.texts(PIN_WEAK)), 1)
        return pin

    async def _put_pin(
        self, conn: Conn, held: Held, asked: Asked, pin: str, effect: Effect | None = None
    ) -> Card:
        """A new PIN on a held card, with the next secret version; tries start afresh."""
        version = held.root.secret_version + 1
        salt = secrets.token_bytes(SALT_BYTES)
        await sql.set_pin(conn, held.card.id, version, salt, self._vault.pin_mac(pin, salt))
        base = effect or Effect(event="card.pin_changed")
        with_secret = msgspec.structs.replace(base, root={**base.root, **fresh_secret(version)})
        return await self.change(conn, held, asked, with_secret)


def fresh_secret(version: int) -> dict[str, int]:
    """A root whose secret is new: nobody has tried it yet."""
    return {"secret_version": version, "pin_tries": 0, "pin_locked_until_us": 0}


_PIN = re.compile("[0-9]+")


def _check_pin(pin: str, rules: Rules) -> None:
    """Whether a PIN a person chose may be one. Raises `pin_not_allowed`."""
    digits = rules.int(PIN_LENGTH_DIGITS)
    if len(pin) != digits or not _PIN.fullmatch(pin):
        raise PIN_NOT_ALLOWED.error(
            f"A PIN has {digits} digits.", rule=rules.row(PIN_LENGTH_DIGITS), field="new_pin"
        )
    if is_weak_pin(pin, rules.texts(PIN_WEAK)):
        raise PIN_NOT_ALLOWED.error(rule=rules.row(PIN_WEAK), field="new_pin")
