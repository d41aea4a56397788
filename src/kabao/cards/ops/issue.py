"""Making cards: numbers, PINs, rows and root accounts, one or thousands at a time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from kabao.base import outbox
from kabao.base.clock import now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND, KabaoError
from kabao.base.outbox import Pending
from kabao.cards import sql, sql_programmes
from kabao.cards.claims import By
from kabao.cards.model import (
    CARD_COLUMN,
    CARD_TABLE,
    CARRIER_NOT_OFFERED,
    HOLDER_NOT_IDENTIFIED,
    NUMBER_INDEX,
    PROGRAMME_STATE,
    RANGE_FULL,
    VALUE_DIGITS,
    Card,
    Carrier,
    CredentialKind,
    Issued,
    NewCard,
    Programme,
    ProgrammeState,
    Secrets,
    last_day,
)
from kabao.cards.numbers import (
    allot,
    barcode_covered,
    draw_numbers,
    draw_pins,
    make_barcode,
    make_track,
    room_left,
    track_covered,
)
from kabao.cards.ops.programmes import Programmes
from kabao.cards.sql import CardRow, CredentialRow
from kabao.cards.sql_programmes import NumberRange
from kabao.cards.states import CardState, Reason
from kabao.cards.terms import first_state, validity_months
from kabao.customers.model import Level
from kabao.ledger.model import NewRoot, RootState
from kabao.policy.choices import Switch
from kabao.policy.model import Rules
from kabao.policy.names import (
    CARD_NUMBER_DENSITY_PPM,
    PIN_LENGTH_DIGITS,
    PIN_WEAK,
    PURCHASE_IDENTITY_REGISTERED_FROM_FEN,
)

SALT_BYTES = 16
_TURN = 200
"""Cards made between two looks at the event loop: about ten milliseconds."""

_REDRAWS = 50
"""At the densest a number is taken one time in ten thousand: this never ends badly."""


class Blank(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided of a card before it has a number."""

    programme: Programme
    carrier: Carrier
    state: CardState
    reason: Reason | None = None
    expires_on: date | None = None
    holder: str | None = None
    location: str | None = None
    root: str | None = None
    """The root account it takes over; None: it opens its own."""
    secret_version: int = 1
    replaces: str | None = None
    batch: str | None = None
    first_serial: int | None = None


class Drawn(msgspec.Struct):
    """A card's ids and secrets, before it is stored."""

    card: str
    root: str
    prefix: str
    number: str
    pin: str
    salt: bytes
    pin_mac: bytes
    blind: str
    sealed: bytes

    def __repr__(self) -> str:
        return f"Drawn({self.card})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("card", self.card)]


class Issuing(Programmes):
    """Issuing single cards, and the parts that bulk issue and replacement share."""

    async def issue(self, conn: Conn, new: NewCard, by: By) -> Issued:
        """A new card with its own root account; its number and PIN are known only now.

        Electronic cards are active at once where their programme says so; a
        registered one only with an identified holder (CR-07). Plastic goes
        into stock.

        Raises:
            KabaoError: `not_found` (programme, holder), `programme_state`,
                `carrier_not_offered`, `stopped`, `holder_not_identified`,
                `number_range_full`.
        """
        programme = await self.find_programme(conn, new.programme)
        self.check_issue(programme, new.carrier)
        rules = self.rules_of(programme, self.today(programme))
        identified = await self._identified(conn, new.holder)
        blank = Blank(
            programme=programme,
            carrier=new.carrier,
            state=first_state(programme, new.carrier, identified=identified),
            reason=Reason.ISSUED,
            expires_on=self.expiry(programme, rules),
            holder=new.holder,
            location=new.location,
        )
        if blank.state is CardState.INACTIVE and new.holder is not None and not identified:
            raise HOLDER_NOT_IDENTIFIED.error(
                rule=rules.row(PURCHASE_IDENTITY_REGISTERED_FROM_FEN), field="holder"
            )
        issued = await self.make_card(conn, blank)
        payload = {
            "card": issued.card.id,
            "programme": programme.id,
            "carrier": new.carrier,
            "state": issued.card.state,
            "holder": new.holder,
            "by": by.actor,
        }
        # Its root numbers its own events from 1: this one comes before them.
        event = Pending("card.created", payload, root=issued.card.root, root_seq=0)
        await outbox.write(conn, [event], self._clock.now_us())
        return issued

    def check_issue(self, programme: Programme, carrier: Carrier) -> None:
        """Whether the programme issues such cards now.

        Raises `programme_state`, `carrier_not_offered`, `stopped`.
        """
        if programme.state is not ProgrammeState.ACTIVE:
            raise PROGRAMME_STATE.error(
                f"A programme that is {programme.state} issues no cards.", field="programme"
            )
        if carrier not in programme.terms.carriers:
            raise CARRIER_NOT_OFFERED.error(field="carrier")
        self._policy.require_running(
            Switch.STOP_ISSUE, programme=programme.id, company=programme.issuer
        )

    def expiry(self, programme: Programme, rules: Rules) -> date | None:
        """The last day of a card that starts today."""
        return last_day(self.today(programme), validity_months(programme, rules))

    async def _identified(self, conn: Conn, holder: str | None) -> bool:
        """Whether we know who the holder is. Raises `not_found`."""
        if holder is None:
            return False
        try:
            customer = await self._customers.get(conn, holder)
        except KabaoError as unknown:
            if unknown.code is not NOT_FOUND:
                raise
            raise NOT_FOUND.error("There is no such customer.", field="holder") from None
        return customer.level.reaches(Level.IDENTITY)

    async def make_card(self, conn: Conn, blank: Blank) -> Issued:
        """Draw and store one card; without `blank.root` it opens its own, empty.

        For a replacement the caller hands the root over, under its lock:
        `root.card`, and `root.secret_version` to equal `blank.secret_version`.
        Raises `number_range_full`.
        """
        programme, at = blank.programme, now(self._clock)
        rules = self.rules_of(programme, self.today(programme))
        shares = self._shares(await self.lock_numbers(conn, programme), rules, 1)
        drawn = self.draw(rules, shares, blank.root)
        await sql_programmes.count_issued(conn, [(share.prefix, n) for share, n in shares])
        key_version = self._vault.card_key_version
        (row,) = await self.store(conn, blank, drawn, at, key_version)
        shown = self.secrets(
            programme,
            drawn[0].card,
            drawn[0].number,
            drawn[0].pin,
            expires_on=blank.expires_on,
            key_version=key_version,
        )
        return Issued(card=_as_card(row), secrets=shown)

    async def lock_numbers(self, conn: Conn, programme: Programme) -> list[NumberRange]:
        """Keep others from drawing numbers of a programme until the transaction ends.

        Whoever needs a root as well locks it after this.
        """
        return await sql_programmes.lock_ranges(conn, programme.id, programme.terms.prefixes)

    # --- in sets -----------------------------------------------------------------------

    def _shares(
        self, ranges: Sequence[NumberRange], rules: Rules, count: int
    ) -> list[tuple[NumberRange, int]]:
        """How many numbers come from which range. Raises `number_range_full`."""
        density_ppm = rules.int(CARD_NUMBER_DENSITY_PPM)
        room = [room_left(r.prefix, r.number_length, r.issued, density_ppm) for r in ranges]
        parts = allot(room, count)
        if parts is None:
            raise RANGE_FULL.error(
                f"At {density_ppm} in a million, the ranges have room for {sum(room)} more"
                f" numbers, not {count}.",
                rule=rules.row(CARD_NUMBER_DENSITY_PPM),
                field="programme",
            )
        return [(r, n) for r, n in zip(ranges, parts, strict=True) if n]

    def _fits(
        self,
        ranges: Sequence[NumberRange],
        shares: Sequence[tuple[NumberRange, int]],
        rules: Rules,
    ) -> bool:
        """Whether shares made earlier still have room in the ranges as they are now."""
        density_ppm = rules.int(CARD_NUMBER_DENSITY_PPM)
        left = {
            r.prefix: room_left(r.prefix, r.number_length, r.issued, density_ppm) for r in ranges
        }
        return all(n <= left.get(share.prefix, 0) for share, n in shares)

    def draw(
        self, rules: Rules, shares: Sequence[tuple[NumberRange, int]], root: str | None = None
    ) -> list[Drawn]:
        """Ids, numbers and PINs of new cards: pure CPU, about 40 µs each."""
        numbers = [
            (r.prefix, number)
            for r, n in shares
            for number in draw_numbers(r.prefix, r.number_length, n)
        ]
        pins = draw_pins(
            rules.int(PIN_LENGTH_DIGITS), frozenset(rules.texts(PIN_WEAK)), len(numbers)
        )
        salts = secrets.token_bytes(SALT_BYTES * len(numbers))
        blinds = self._vault.blind_indexes(NUMBER_INDEX, [number for _, number in numbers])
        ids = [self._ids.new() for _ in numbers]
        sealed = self._vault.encrypt_many(
            CARD_TABLE,
            CARD_COLUMN,
            [(ident, number.encode()) for ident, (_, number) in zip(ids, numbers, strict=True)],
        )
        drawn = []
        for n, (prefix, number) in enumerate(numbers):
            salt = salts[SALT_BYTES * n : SALT_BYTES * (n + 1)]
            drawn.append(
                Drawn(
                    card=ids[n],
                    root=root or self._ids.new(),
                    prefix=prefix,
                    number=number,
                    pin=pins[n],
                    salt=salt,
                    pin_mac=self._vault.pin_mac(pins[n], salt),
                    blind=blinds[n].hex()[:32],
                    sealed=sealed[n],
                )
            )
        return drawn

    async def draw_many(
        self, rules: Rules, shares: Sequence[tuple[NumberRange, int]]
    ) -> list[Drawn]:
        """As `draw`, giving way to others every few milliseconds."""
        drawn: list[Drawn] = []
        for share, n in shares:
            for start in range(0, n, _TURN):
                drawn += self.draw(rules, [(share, min(_TURN, n - start))])
                await asyncio.sleep(0)
        return drawn

    async def store(
        self, conn: Conn, blank: Blank, drawn: Sequence[Drawn], at: datetime, key_version: int
    ) -> list[CardRow]:
        """Store cards with their credentials and root accounts: three statements in all."""
        await self._claim(conn, blank, drawn)
        rows = [
            CardRow(
                id=d.card,
                root=d.root,
                programme=blank.programme.id,
                carrier=blank.carrier,
                state=blank.state,
                reason=blank.reason,
                state_at=at,
                holder=blank.holder,
                expires_on=blank.expires_on,
                last4=d.number[-4:],
                number_sealed=d.sealed,
                key_version=key_version,
                batch=blank.batch,
                serial=None if blank.first_serial is None else blank.first_serial + n,
                location=blank.location,
                replaces=blank.replaces,
                issued_at=at,
                activated_at=at if blank.state is CardState.ACTIVE else None,
            )
            for n, d in enumerate(drawn)
        ]
        await sql.copy_cards(conn, rows)
        if blank.root is None:
            await self._ledger.open_roots(conn, [_root_of(blank, d) for d in drawn])
        return rows

    async def _claim(self, conn: Conn, blank: Blank, drawn: Sequence[Drawn]) -> None:
        """Take the numbers; whoever has one that is taken draws again."""
        waiting = list(drawn)
        for _ in range(_REDRAWS):
            rows = [
                CredentialRow(d.blind, d.card, d.root, blank.secret_version, d.salt, d.pin_mac)
                for d in waiting
            ]
            stored = await sql.claim_credentials(conn, CredentialKind.NUMBER, rows)
            waiting = [d for d in waiting if d.card not in stored]
            if not waiting:
                return
            for d in waiting:
                (d.number,) = draw_numbers(d.prefix, len(d.number), 1)
                d.blind = self._vault.blind_index(NUMBER_INDEX, d.number).hex()[:32]
                d.sealed = self._vault.encrypt(CARD_TABLE, CARD_COLUMN, d.card, d.number.encode())
        raise AssertionError("a range is far fuller than it counts")

    def secrets(
        self,
        programme: Programme,
        card: str,
        number: str,
        pin: str,
        *,
        expires_on: date | None,
        key_version: int,
        serial: int | None = None,
    ) -> Secrets:
        """What is printed on, written to, or shown of a new card."""
        track = track_covered(number, expires_on, pin_on_swipe=programme.terms.pin.on_swipe)
        barcode = barcode_covered(number)
        value = self._vault.card_value
        return Secrets(
            card=card,
            number=number,
            pin=pin,
            expires_on=expires_on,
            track2=make_track(
                track, key_version, value(card, key_version, *track, digits=VALUE_DIGITS)
            ),
            barcode=make_barcode(
                barcode, key_version, value(card, key_version, *barcode, digits=VALUE_DIGITS)
            ),
            serial=serial,
        )


def _root_of(blank: Blank, drawn: Drawn) -> NewRoot:
    """The empty root account of a new card."""
    state = RootState.ACTIVE if blank.state is CardState.ACTIVE else RootState.INACTIVE
    return NewRoot(
        drawn.root,
        drawn.card,
        blank.programme.id,
        blank.programme.issuer,
        blank.programme.currency,
        state,
        blank.expires_on,
    )


def _as_card(row: CardRow) -> Card:
    """The card as it would be read back."""
    shared = {name: getattr(row, name) for name in Card.__struct_fields__ if hasattr(row, name)}
    return msgspec.convert(shared | {"frozen_until": None, "replaced_by": None}, Card)
