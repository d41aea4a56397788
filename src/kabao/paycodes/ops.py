"""The verbs of pay codes: make, enrol, revoke, and tell what a shown code is."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from kabao import sm2
from kabao.base import logs
from kabao.base.clock import US_PER_S, Clock, from_us, now, to_us
from kabao.base.db import Conn, Database, Flush, Statements, sent
from kabao.base.errors import NOT_FOUND, KabaoError
from kabao.base.ids import Ids, to_edge
from kabao.cards.model import STATUS, Card, CardRef, Proof, Resolved, Source
from kabao.cards.ops import Cards
from kabao.paycodes import model, sql
from kabao.paycodes.model import (
    CARD_NOT_ACTIVE,
    CODE_DIGITS,
    CODE_INDEX,
    DEVICE_COLUMN,
    DEVICE_TABLE,
    HANDLE_DIGITS,
    HEAD_DIGITS,
    KEY_BYTES,
    MAC_CHARS,
    PREFIX_DIGITS,
    PUBLIC_KEY_INVALID,
    STORE_CODE_INVALID,
    STORE_CODE_MAC,
    TOO_MANY_DEVICES,
    ByCode,
    Device,
    Enrolled,
    Made,
    Payable,
    PayCode,
    Phone,
    PhoneCode,
    StoreCode,
)
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.vault.model import SEALED_BROKEN
from kabao.vault.ops import Vault, verify_signature

log = logs.get("paycodes")

FORGET_BATCH = 1_000
KEPT = timedelta(hours=1)
"""How long a code that has ended is still known, to be told from digits that never were one."""

_NO_KEY = bytes(KEY_BYTES)
_NOBODY = CardRef("")


class _Shown(msgspec.Struct, frozen=True):
    """A code that was found: whose it is, and whether the password in it was right."""

    card: str
    series: str
    number: int
    until_us: int | None
    """None: as its programme says, counted from its period."""
    superseded: bool
    right: bool


class PayCodes:
    """One per process. Verbs that write take the caller's transaction."""

    def __init__(self, db: Database, cards: Cards, vault: Vault, ids: Ids, clock: Clock) -> None:
        self._db, self._cards, self._vault = db, cards, vault
        self._ids, self._clock = ids, clock

    # --- making --------------------------------------------------------------------------------

    async def make(self, conn: Conn, card: Card) -> Made:
        """A fresh code for a card; every older one of the card is superseded.

        Raises `card_not_active`.
        """
        rules = await self._rules_for(conn, card)
        number = await sql.next_number(conn, card.id)
        made_us = self._clock.now_us()
        expires_us = made_us + rules.int(names.PAY_CODE_TTL_SECONDS) * US_PER_S
        until_us = made_us + _life_us(rules)
        prefix = rules.text(names.PAY_CODE_PREFIX)
        while True:
            code = prefix + _digits(CODE_DIGITS - PREFIX_DIGITS)
            if await sql.add_code(
                conn, self._blind(code), card.id, number, from_us(made_us), from_us(until_us)
            ):
                return Made(code, made_us, expires_us)

    async def enrol(
        self, conn: Conn, card: Card, name: str, public_key: bytes | None = None
    ) -> Enrolled:
        """A device that makes codes by itself from now on; with a public key of its own it
        signs what it shows to tills without a line. Raises `card_not_active`,
        `too_many_devices`, `public_key_invalid`.
        """
        if public_key is not None and sm2.point_of(public_key) is None:
            raise PUBLIC_KEY_INVALID.error(rule="ruling 10", field="public_key")
        rules = await self._rules_for(conn, card)
        most = rules.int(names.PAY_CODE_DEVICES_MAX_COUNT)
        if await sql.count_devices(conn, card.id) >= most:
            raise TOO_MANY_DEVICES.error(
                f"A card has {most} devices at most; revoke one first.",
                rule=rules.row(names.PAY_CODE_DEVICES_MAX_COUNT),
            )
        prefix, key = rules.text(names.PAY_CODE_DEVICE_PREFIX), secrets.token_bytes(KEY_BYTES)
        while True:
            device = Device(
                id=self._ids.new(),
                card=card.id,
                head=prefix + _digits(HANDLE_DIGITS),
                name=name,
                enrolled_at=now(self._clock),
                revoked_at=None,
            )
            sealed = self._vault.encrypt(DEVICE_TABLE, DEVICE_COLUMN, device.id, key)
            if await sql.add_device(conn, device, sealed, public_key):
                return Enrolled(device, key, rules.int(names.PAY_CODE_TTL_SECONDS))

    async def revoke(self, conn: Conn, ident: str) -> Device:
        """A device makes no more codes; from the commit on, none of them is accepted first.

        Raises `not_found`.
        """
        await sql.revoke_device(conn, ident, now(self._clock))
        return await self.device(conn, ident)

    async def device(self, conn: Conn, ident: str) -> Device:
        """A device as it is now. Raises `not_found`."""
        found = await sql.device(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such device.")
        return found

    async def devices(
        self, conn: Conn, card: str, *, before: str | None, limit: int
    ) -> list[Device]:
        """A card's devices, newest first, revoked ones too."""
        return await sql.devices_of(conn, card, before, limit)

    # --- phones that sign -----------------------------------------------------------------------

    async def phones_of(self, conn: Conn, cards: Sequence[str]) -> list[Phone]:
        """The phones that may show codes of these cards to tills without a line."""
        return await sql.phones_of(conn, cards)

    async def card_of_phone(self, conn: Conn, shown: PhoneCode, at_us: int) -> str | None:
        """The card of a phone's code that a till was shown then; None for one that nobody
        signed, that was older, or whose phone had been revoked.
        """
        phone = await sql.phone(conn, shown.device)
        if phone is None or not verify_signature(phone.public_key, shown.signed, shown.signature):
            return None
        if phone.revoked_at is not None and to_us(phone.revoked_at) <= at_us:
            return None
        card = await self._cards.find_card(conn, phone.card)
        programme = await self._cards.find_programme(conn, card.programme)
        rules = self._cards.rules_of(programme, self._cards.today(programme))
        return card.id if abs(at_us - shown.made_us) <= _life_us(rules) else None

    async def forget(self) -> int:
        """Forget codes that ended a while ago; for a job. Returns how many."""
        forgotten = 0
        while True:
            async with self._db.transaction() as conn:
                batch = await sql.forget_codes(conn, now(self._clock) - KEPT, FORGET_BATCH)
            forgotten += batch
            if batch < FORGET_BATCH:
                return forgotten

    async def _rules_for(self, conn: Conn, card: Card) -> Rules:
        """What holds for codes of a card. Raises `card_not_active`."""
        if STATUS[card.state] != "active":
            raise CARD_NOT_ACTIVE.error(rule="P-10")
        programme = await self._cards.find_programme(conn, card.programme)
        return self._cards.rules_of(programme, self._cards.today(programme))

    # --- telling what was shown ----------------------------------------------------------------

    async def resolve(
        self, conn: Statements, sources: Sequence[Payable], flush: Flush = sent
    ) -> list[Resolved | None]:
        """As `Cards.resolve`, for pay codes too: those end in a `ByCode`.

        Without a code among them it is that very call. With one it takes a second round
        trip, and looks each code's card up by its id.
        """
        codes = [source.code for source in sources if isinstance(source, PayCode)]
        if not codes:
            return await self._cards.resolve(conn, sources, flush)  # type: ignore[arg-type]  # no code is among them
        shown = await self._shown(conn, codes, flush)
        plain: list[Source] = [
            _stand_in(shown[source.code]) if isinstance(source, PayCode) else source
            for source in sources
        ]
        found = await self._cards.resolve(conn, plain, flush)
        return [
            self._by_code(shown[source.code], card) if isinstance(source, PayCode) else card
            for source, card in zip(sources, found, strict=True)
        ]

    async def _shown(
        self, conn: Statements, codes: Sequence[str], flush: Flush
    ) -> dict[str, _Shown | None]:
        """Each code by its digits; None for what is nobody's."""
        blinds = [self._blind(code) for code in codes]
        heads = [code[:HEAD_DIGITS] for code in codes]
        known, devices = await sql.find(conn, flush, blinds, heads)
        shown: dict[str, _Shown | None] = {}
        for code, blind, head in zip(codes, blinds, heads, strict=True):
            if (seen := known.get(blind)) is not None:
                shown[code] = _Shown(
                    seen.card,
                    seen.card,
                    seen.number,
                    seen.until_us,
                    superseded=seen.superseded,
                    right=True,
                )
            else:
                shown[code] = self._of_device(code, devices.get(head))
        return shown

    def _of_device(self, code: str, device: sql.SeenDevice | None) -> _Shown | None:
        """What a device's code is. Digits of no device cost the same work (ATK-1)."""
        key = _NO_KEY if device is None else self._key_of(device)
        now_us = self._clock.now_us()
        # The longest skew any pack allows; `until_us` is exact, by the programme's own.
        number = model.which(key, code[HEAD_DIGITS:], now_us, model.STEP_S * US_PER_S)
        if device is None:
            return None
        return _Shown(
            device.card,
            device.id,
            0 if number is None else number,
            None,
            superseded=False,
            right=number is not None,
        )

    def _key_of(self, device: sql.SeenDevice) -> bytes:
        """A device's key. One that cannot be opened fails nobody else's look-up."""
        try:
            return self._vault.decrypt(DEVICE_TABLE, DEVICE_COLUMN, device.id, device.key_sealed)
        except KabaoError as broken:
            if broken.code is not SEALED_BROKEN:
                raise
            log.error("paycodes.device_key_broken", device=device.id)
            return secrets.token_bytes(KEY_BYTES)

    def _by_code(self, shown: _Shown | None, card: Resolved | None) -> Resolved | None:
        if shown is None or card is None:
            return None
        rules = self._rules_now(card.programme)
        until_us = shown.until_us
        if until_us is None:
            until_us = model.until(shown.number, _life_us(rules))
        told = msgspec.structs.asdict(card) | {"proof": Proof.RIGHT if shown.right else Proof.WRONG}
        return ByCode(
            **told,
            series=shown.series,
            number=shown.number,
            until_us=until_us,
            tie_us=rules.int(names.PAY_CODE_TIE_SECONDS) * US_PER_S,
            superseded=shown.superseded,
        )

    def _rules_now(self, programme: str) -> Rules:
        """By the snapshot: the look-up has just met the programme."""
        known = self._cards.programme(programme)
        assert known is not None, "a card without a programme"
        return self._cards.rules_of(known, self._cards.today(known))

    def _blind(self, code: str) -> str:
        return self._vault.blind_index(CODE_INDEX, code).hex()[:32]

    # --- codes of a store ----------------------------------------------------------------------

    def store_code(self, said: StoreCode) -> str:
        """What a store shows: place and amount, with a MAC over both. Nothing is written."""
        body = model.store_code_body(said)
        return f"{body}:{self._store_mac(body)}"

    def read_store_code(self, text: str) -> StoreCode:
        """What a store's code says. Raises `store_code_invalid`."""
        read = model.read_store_code(text)
        if read is not None:
            said, mac = read
            right = self._store_mac(model.store_code_body(said))
            if hmac.compare_digest(mac.encode(), right.encode()):
                return said
        raise STORE_CODE_INVALID.error(rule="P-14", field="code")

    def _store_mac(self, body: str) -> str:
        return self._vault.mac(STORE_CODE_MAC, body.encode()).hex()[:MAC_CHARS].upper()


def _life_us(rules: Rules) -> int:
    """How long a code may be shown first: its time, and what clocks may differ."""
    return (rules.int(names.PAY_CODE_TTL_SECONDS) + rules.int(names.PAY_CODE_SKEW_SECONDS)) * (
        US_PER_S
    )


def _digits(count: int) -> str:
    return f"{secrets.randbelow(10**count):0{count}d}"


def _stand_in(shown: _Shown | None) -> CardRef:
    """The card of a code, by its id."""
    return _NOBODY if shown is None else CardRef(to_edge("card", shown.card))
