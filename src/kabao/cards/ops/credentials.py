"""From what was shown to the card it belongs to: the hot read, and cold ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hmac import compare_digest

from kabao.base.db import Conn, Flush, Statements, sent
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import is_id
from kabao.cards import sql
from kabao.cards.model import (
    CARD_COLUMN,
    CARD_TABLE,
    NUMBER_INDEX,
    VALUE_DIGITS,
    Barcode,
    Card,
    CardNumber,
    CardRef,
    Carrier,
    Programme,
    Proof,
    Resolved,
    Source,
    Track,
)
from kabao.cards.numbers import Shown, read_barcode, read_track
from kabao.cards.ops.programmes import Programmes
from kabao.cards.states import CardState

NOBODY = "0" * 19
"""Looked for in place of what cannot be a number."""

_NO_SALT, _NO_MAC = bytes(16), bytes(16)
_NO_CARD = "0" * 32
_STATES = {state.value: state for state in CardState}
_CARRIERS = {carrier.value: carrier for carrier in Carrier}


class Credentials(Programmes):
    """Resolving sources, and reading cards."""

    async def resolve(
        self, conn: Statements, sources: Sequence[Source], flush: Flush = sent
    ) -> list[Resolved | None]:
        """What each source is, in their order; None for one that is nobody's.

        One indexed read for all of them. A source that is nobody's costs the
        same keyed hashes as one that is somebody's, right or wrong, so time
        tells nothing (ATK-1). A card that was replaced is still found: compare
        `card` and `secret_version` with the root's under its lock.
        """
        claims = [shown(source) for source in sources]
        numbers = [s.number for s in claims if isinstance(s, Shown)]
        blinds = [b.hex()[:32] for b in self._vault.blind_indexes(NUMBER_INDEX, numbers)]
        ids = [s for s in claims if isinstance(s, str)]
        found = await sql.resolve(conn, flush, blinds, ids)
        await self._meet({row[3] for row in found.values()})
        at = iter(blinds)
        return [
            self._named(found.get(s))
            if isinstance(s, str)
            else self._judged(source, s, found.get(next(at)))
            for source, s in zip(sources, claims, strict=True)
        ]

    def _named(self, row: sql.Found | None) -> Resolved | None:
        """A card named by id: nothing to prove here."""
        if row is None:
            return None
        return _resolved(row, self._programmes[row[3]], Proof.SCOPE)

    def _judged(self, source: Source, claim: Shown, row: sql.Found | None) -> Resolved | None:
        """A source whose secret is judged, whether or not there is such a card."""
        card, key_version, salt, mac = _NO_CARD, claim.key_version, _NO_SALT, _NO_MAC
        if row is not None:
            card, key_version = row[1], row[7]
            if row[9] is not None and row[10] is not None:
                salt, mac = row[9], row[10]
        proof = Proof.RIGHT
        if not isinstance(source, CardNumber):
            value_right = self._vault.card_value_matches(
                claim.value, card, key_version, *claim.covered, digits=VALUE_DIGITS
            )
            if not value_right or claim.key_version != key_version:
                proof = Proof.WRONG
        pin = None if isinstance(source, Barcode | CardRef) else source.pin
        pin_right = pin is None or compare_digest(self._vault.pin_mac(pin, salt), mac)
        if row is None:
            return None
        programme = self._programmes[row[3]]
        if proof is Proof.RIGHT:
            if pin is not None:
                proof = _pin_proof(pin_right=pin_right, pin_set=row[10] is not None)
            elif isinstance(source, Track) and programme.terms.pin.on_swipe:
                proof = Proof.NONE
        proved = proof is Proof.RIGHT and pin is not None
        return _resolved(row, programme, proof, pin_proved=proved)

    # --- reading cards ------------------------------------------------------------------

    async def find_card(self, conn: Conn, ident: str) -> Card:
        """A card as it is now. Raises `not_found`."""
        found = await sql.card(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such card.")
        return found

    async def holder(self, conn: Conn, ident: str) -> str | None:
        """A card's holder; None if it has none, or if there is no such card."""
        found = await sql.card(conn, ident)
        return None if found is None else found.holder

    async def list_cards(
        self,
        conn: Conn,
        *,
        issuers: Collection[str] | None = None,
        programme: str | None = None,
        holder: str | None = None,
        states: Collection[CardState] | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Card]:
        """Cards, newest first; `issuers` None: of every company."""
        return await sql.list_cards(
            conn,
            issuers=issuers,
            programme=programme,
            holder=holder,
            states=states,
            before=before,
            limit=limit,
        )

    async def series(self, conn: Conn, first: Card, count: int) -> list[Card]:
        """So many cards of one batch, from this one on; fewer where the batch ends."""
        if first.batch is None or first.serial is None:
            return [first]
        return await sql.series(conn, first.batch, first.serial, first.serial + count - 1)

    async def number_of(self, conn: Conn, ident: str) -> str:
        """A card's number in clear, for printing it again. Raises `not_found`."""
        sealed = await sql.sealed_number(conn, ident)
        if sealed is None:
            raise NOT_FOUND.error("There is no such card.")
        return self._vault.decrypt(CARD_TABLE, CARD_COLUMN, ident, sealed).decode()


def shown(source: Source) -> Shown | str:
    """What a source claims: a card id, or a number with what came with it."""
    match source:
        case CardNumber():
            return Shown(source.number, 0, (), "")
        case Track():
            return read_track(source.track2) or _NOTHING
        case Barcode():
            return read_barcode(source.data) or _NOTHING
        case CardRef():
            head, _, ident = source.id.partition("_")
            return ident if head == "card" and is_id(ident) else _NO_CARD


_NOTHING = Shown(NOBODY, 1, ("track", NOBODY, "0000", "000"), "0" * VALUE_DIGITS)


def _pin_proof(*, pin_right: bool, pin_set: bool) -> Proof:
    if not pin_set:
        return Proof.NO_PIN_SET
    return Proof.RIGHT if pin_right else Proof.WRONG


def _resolved(
    row: sql.Found, programme: Programme, proof: Proof, *, pin_proved: bool = False
) -> Resolved:
    return Resolved(
        card=row[1],
        root=row[2],
        programme=row[3],
        issuer=programme.issuer,
        last4=row[4],
        secret_version=row[8],
        state_of_carrier=_STATES[row[6]],
        carrier=_CARRIERS[row[5]],
        proof=proof,
        pin_proved=pin_proved,
    )
