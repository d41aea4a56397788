"""What a till may sell while its line is dead: granted beforehand, signed, and asked back.

The terms are a document that the platform signs (SM2), so that a till knows whom
they are from. Each card in them carries a *grant*, a MAC over till, card, amount and
time: it comes back with the sale, and a sale without one is nobody's but the store's.
So a till cannot grant itself a card, an amount or an hour, whatever it runs.
"""

from __future__ import annotations

import hmac
import secrets
from hmac import compare_digest

import msgspec

from kabao.base.clock import BusinessDays, Clock, rfc3339
from kabao.base.db import Conn
from kabao.base.ids import to_edge
from kabao.cards.limits import is_locked
from kabao.cards.model import BARCODE_PREFIX, KEY_DIGITS, VALUE_DIGITS
from kabao.cards.ops import Cards
from kabao.ledger.model import Root
from kabao.ledger.ops import Ledger
from kabao.paycodes.ops import PayCodes
from kabao.payments import sql_offline as sql
from kabao.payments.model import Place
from kabao.payments.ops import Payments
from kabao.payments.rules import state_forbids
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.vault.ops import Vault

BARCODE_PATTERN = rf"{BARCODE_PREFIX}([0-9]{{12,19}})[0-9]{{{KEY_DIGITS + VALUE_DIGITS}}}"
"""For tills, which find a card in their terms by its number."""

DOMAIN = b"kabao-offline-terms-1\n"
"""Before the document where it is signed: the key signs other things as well."""

US_PER_HOUR = 3_600_000_000
CARDS_MAX = 200
"""Cards in the terms of one till: those that paid in its store last."""

LOOK_BACK = 100_000
"""Payments of the platform, newest first, among which those of a store are looked for."""

GRANT_MAX = 120
"""Characters of a grant, at most."""

_MAC_BYTES = 16


class Caps(msgspec.Struct, frozen=True):
    """How far policy honours offline sales with cards of one programme."""

    allowed: bool
    card_fen: int
    terminal_fen: int
    terminal_count: int
    terms_us: int
    upload_us: int
    phone_s: int
    """How old a phone's code may be: as a pay code, and what clocks may differ."""


class Grant(msgspec.Struct, frozen=True):
    """A card that one till may sell to once: the most it may pay, in fen, and when."""

    most_fen: int
    from_us: int
    until_us: int


class GrantedCard(msgspec.Struct, frozen=True):
    """A card in the terms. `grant` is for the platform: the till hands it back as it is."""

    most: int
    grant: str


class GrantedPhone(msgspec.Struct, frozen=True):
    """A phone that may show codes for a card in the terms, and its public key in hexadecimal."""

    key: str
    card: str
    last4: str


class Document(msgspec.Struct, frozen=True):
    """The terms, as they are signed. Amounts in fen."""

    store: str
    terminal: str
    currency: str
    taken_at: str
    valid_until: str
    terminal_max: int
    terminal_count: int
    salt: str
    number_in_barcode: str
    cards: dict[str, GrantedCard]
    """By HMAC-SHA256 of the card number under the salt, in hexadecimal."""
    phones: dict[str, GrantedPhone]
    """By the phone's id."""
    phone_seconds: int
    """How old a phone's code may be when a till takes it."""


class Signed(msgspec.Struct, frozen=True):
    """A document in JSON, and who says so. `key` is the version of the key that signed."""

    document: str
    signature: bytes
    key: int


def caps_of(rules: Rules) -> Caps:
    """Policy's values."""
    return Caps(
        rules.flag(names.OFFLINE_ALLOWED),
        rules.int(names.OFFLINE_CARD_MAX_FEN),
        rules.int(names.OFFLINE_TERMINAL_MAX_FEN),
        rules.int(names.OFFLINE_TERMINAL_MAX_COUNT),
        rules.int(names.OFFLINE_TERMS_HOURS) * US_PER_HOUR,
        rules.int(names.OFFLINE_UPLOAD_HOURS) * US_PER_HOUR,
        rules.int(names.PAY_CODE_TTL_SECONDS) + rules.int(names.PAY_CODE_SKEW_SECONDS),
    )


class OfflineTerms:
    """Grant what may be sold without a line, and know what was granted."""

    def __init__(
        self,
        payments: Payments,
        ledger: Ledger,
        cards: Cards,
        paycodes: PayCodes,
        vault: Vault,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._payments, self._ledger, self._cards = payments, ledger, cards
        self._paycodes, self._vault = paycodes, vault
        self._clock, self._days = clock, days

    async def offer(self, conn: Conn, place: Place) -> Signed:
        """What a till may sell from now on without a line (ruling 10).

        A card that is stopped, empty, of another group or sold offline today is
        not in it: whoever is not listed is on the hot list.
        """
        assert place.terminal is not None
        now_us = self._clock.now_us()
        today = self._days.of(now_us)
        used = await sql.used_of_terminal(conn, place.terminal, today)
        good = await self._good_cards(conn, place, now_us)
        caps = [caps for _, caps in good]
        until_us = now_us + min((c.terms_us for c in caps), default=0)
        salt, cards = secrets.token_bytes(16), dict[str, GrantedCard]()
        named: dict[str, tuple[str, str]] = {}
        for root, own in good:
            number = await self._cards.number_of(conn, root.card)
            grant = Grant(min(own.card_fen, root.available_fen), now_us, until_us)
            name = hmac.digest(salt, number.encode(), "sha256").hex()
            cards[name] = GrantedCard(grant.most_fen, self._written(place, root.id, grant))
            named[root.card] = name, number[-4:]
        document = Document(
            to_edge("sto", place.store),
            to_edge("ter", place.terminal),
            "CNY",
            rfc3339(now_us),
            rfc3339(until_us),
            max(0, min((c.terminal_fen for c in caps), default=0) - used.fen),
            max(0, min((c.terminal_count for c in caps), default=0) - used.count),
            salt.hex(),
            BARCODE_PATTERN,
            cards,
            {
                phone.id: GrantedPhone(phone.public_key.hex(), *named[phone.card])
                for phone in await self._paycodes.phones_of(conn, list(named))
            },
            min((c.phone_s for c in caps), default=0),
        )
        return self._signed(document)

    def granted(self, place: Place, root: str, text: str) -> Grant | None:
        """What such a text grants this till for this card; None for what is not ours."""
        try:
            most, from_us, until_us = (int(part) for part in text.split(".")[:3])
        except ValueError:
            return None
        grant = Grant(most, from_us, until_us)
        ours = self._written(place, root, grant)
        return grant if compare_digest(ours.encode(), text.encode()) else None

    def _written(self, place: Place, root: str, grant: Grant) -> str:
        assert place.terminal is not None
        said = f"{grant.most_fen}.{grant.from_us}.{grant.until_us}"
        whose = (place.terminal, place.store, root, said)
        mac = self._vault.mac("offline_grant", *(part.encode() for part in whose))
        return f"{said}.{mac[:_MAC_BYTES].hex()}"

    def _signed(self, document: Document) -> Signed:
        text = msgspec.json.encode(document)
        signature = self._vault.sign(DOMAIN + text)
        return Signed(text.decode(), signature.value, signature.key)

    async def _good_cards(self, conn: Conn, place: Place, now_us: int) -> list[tuple[Root, Caps]]:
        """Cards that paid here lately and may be sold to, with the caps of their programme."""
        recent = await sql.recent_roots(conn, place.store, LOOK_BACK, CARDS_MAX)
        sold = await sql.sold_offline(conn, recent, self._days.of(now_us))
        good: list[tuple[Root, Caps]] = []
        for ident in recent:
            root = None if ident in sold else await self._ledger.root(conn, ident)
            caps = None if root is None else await self._caps_for(conn, root, place, now_us)
            if root is not None and caps is not None:
                good.append((root, caps))
        return good

    async def _caps_for(self, conn: Conn, root: Root, place: Place, now_us: int) -> Caps | None:
        """The caps of a card that may be sold to offline; None for any other."""
        programme = self._cards.programme(root.programme)
        if programme is None:  # new, and made at another process
            programme = await self._cards.find_programme(conn, root.programme)
        if self._payments.refuses(programme, place.store):
            return None
        today = self._days.of(now_us)
        caps = caps_of(self._cards.rules_of(programme, today))
        if not caps.allowed or not root.available_fen or is_locked(root, now_us):
            return None
        return None if state_forbids(root, today) is not None else caps
