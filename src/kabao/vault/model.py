"""The vault's types and pure rules: layout, framing, normalising, decimalising."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from struct import Struct as Layout

import msgspec

from kabao.base.errors import Kind, code

KEYS_UNUSABLE = code("vault_keys_unusable", Kind.INVALID, "The vault's keys cannot be used.")
WRONG_KEYS = code(
    "vault_wrong_keys", Kind.INVALID, "These are not the keys this database was written with."
)
KEY_UNKNOWN = code(
    "vault_key_unknown", Kind.INTERNAL, "The vault does not have the key version asked for."
)
KEY_IN_USE = code("vault_key_in_use", Kind.REFUSED, "This key version is still needed.")
SEALED_BROKEN = code(
    "sealed_value_broken",
    Kind.INTERNAL,
    "A sealed value cannot be opened: it was changed, moved, or sealed with other keys.",
)
ROTATION_RUNNING = code(
    "vault_rotation_running", Kind.CONFLICT, "Another rotation or retirement is at work."
)

SIGNATURE_BYTES = PUBLIC_BYTES = 64
"""Of SM2: r and s; x and y. Big-endian, 32 bytes each."""

RELOAD_S = 30
"""How old a process lets its list of keys grow before it looks again."""

TRUST_S = 300
"""How long a process goes on sealing when looking again fails."""

GRACE_S = 900
"""How long a KEK must have had a successor before it may be retired: `TRUST_S`, and room for
transactions that sealed with it and have not committed."""


class Suite(StrEnum):
    """What new values are sealed with (requirements B-13, P-24; conflict 8)."""

    SM4_GCM = "sm4"  # RFC 8998, GB/T 32907
    AES_256_GCM = "aes256"  # NIST SP 800-38D


class Algorithm(StrEnum):
    """What a key is for, fixed at its birth."""

    SM4 = "sm4"
    AES_256 = "aes256"
    HMAC_SM3 = "hmac-sm3"
    HMAC_SHA256 = "hmac-sha256"
    SM2 = "sm2"


KEY_BYTES = {
    Algorithm.SM4: 16,
    Algorithm.AES_256: 32,
    Algorithm.HMAC_SM3: 32,
    Algorithm.HMAC_SHA256: 32,
    Algorithm.SM2: 32,
}

CIPHER_OF = {Suite.SM4_GCM: Algorithm.SM4, Suite.AES_256_GCM: Algorithm.AES_256}
HASH_OF = {Suite.SM4_GCM: Algorithm.HMAC_SM3, Suite.AES_256_GCM: Algorithm.HMAC_SHA256}


class TerminalCipher(StrEnum):
    """What a terminal's keys of 16 bytes are used with."""

    TDES = "3des"
    SM4 = "sm4"


class KeyKind(StrEnum):
    """What a key may be used for; no key serves two purposes."""

    KEK = "kek"
    BLIND_INDEX = "blind_index"
    MAC = "mac"
    PIN = "pin"
    CARD_VALUE = "card_value"
    SIGNATURE = "signature"


VERSIONED = frozenset({KeyKind.KEK, KeyKind.CARD_VALUE, KeyKind.SIGNATURE})
"""Kinds that rotate. The others are keyed hashes: a new key would need the values again."""

YOUNG = frozenset({KeyKind.SIGNATURE})
"""Kinds that key files of earlier versions lack; they are added where they are missing."""

ALGORITHMS = {
    KeyKind.KEK: frozenset({Algorithm.SM4, Algorithm.AES_256}),
    KeyKind.BLIND_INDEX: frozenset({Algorithm.HMAC_SM3, Algorithm.HMAC_SHA256}),
    KeyKind.MAC: frozenset({Algorithm.HMAC_SM3, Algorithm.HMAC_SHA256}),
    KeyKind.PIN: frozenset({Algorithm.HMAC_SM3, Algorithm.HMAC_SHA256}),
    KeyKind.CARD_VALUE: frozenset({Algorithm.SM4}),
    KeyKind.SIGNATURE: frozenset({Algorithm.SM2}),
}

MAX_VERSION = 0xFFFF
MAC_BYTES = 32
PIN_MAC_BYTES = 16
MIN_SALT_BYTES = 8
MAX_DIGITS = 12


class Signature(msgspec.Struct, frozen=True):
    """An SM2 signature, and the version of the key that made it."""

    key: int
    value: bytes


class KeyInfo(msgspec.Struct, frozen=True):
    """What may be known of a key. A KEK version is two keys, one per suite.

    `check_value` is hex that the same key always gives and that tells nothing of use about it.
    """

    kind: KeyKind
    version: int
    algorithm: Algorithm
    created_at_us: int
    check_value: str
    retired_at_us: int | None = None


# --- the sealed value --------------------------------------------------------------------------

LAYOUT_VERSION = 1
_HEADER = Layout(">BBHB")  # layout version, suite, KEK version, length of the wrapped data key
_SUITE_BYTE = {Suite.SM4_GCM: 1, Suite.AES_256_GCM: 2}
_SUITE_OF = {byte: suite for suite, byte in _SUITE_BYTE.items()}
_PREFIX = {suite: bytes([LAYOUT_VERSION, byte]) for suite, byte in _SUITE_BYTE.items()}
TAG_BYTES = 16
MIN_SEALED_BYTES = _HEADER.size + TAG_BYTES


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """A sealed value taken apart."""

    suite: Suite
    kek: int
    wrapped: bytes
    body: bytes


def pack(suite: Suite, kek: int, wrapped: bytes, body: bytes) -> bytes:
    """The stored form: 5 bytes of header, the wrapped data key, ciphertext with its tag."""
    return _HEADER.pack(LAYOUT_VERSION, _SUITE_BYTE[suite], kek, len(wrapped)) + wrapped + body


def unpack(sealed: bytes) -> Sealed:
    """Take the stored form apart. Raises `sealed_value_broken`."""
    if len(sealed) < MIN_SEALED_BYTES:
        raise SEALED_BROKEN.error()
    layout, suite, kek, length = _HEADER.unpack_from(sealed)
    start = _HEADER.size
    end = start + length
    if layout != LAYOUT_VERSION or suite not in _SUITE_OF or len(sealed) < end + TAG_BYTES:
        raise SEALED_BROKEN.error()
    return Sealed(_SUITE_OF[suite], kek, sealed[start:end], sealed[end:])


def place(suite: Suite, table: str, column: str, record_id: str) -> bytes:
    """The associated data of a sealed value: how it is sealed, and `table:column:id`.

    Only the id may hold a colon, and it comes last, so no two places read the same.
    """
    assert ":" not in table and ":" not in column, "table and column are plain names"
    return _PREFIX[suite] + f"{table}:{column}:{record_id}".encode("utf-8", "surrogatepass")


# --- keyed hashes ------------------------------------------------------------------------------


def frame(*parts: bytes) -> bytes:
    """Join parts so that no other list of parts gives the same bytes: each after its length."""
    return b"".join([len(part).to_bytes(4, "big") + part for part in parts])


@lru_cache(maxsize=256)
def purpose_frame(purpose: str) -> bytes:
    """The frame that keeps the domains of one key apart."""
    assert purpose, "a keyed hash needs a purpose"
    return frame(purpose.encode())


def normalise(value: str) -> str:
    """One form for what people write in several: a number in groups, an `x` for an `X`.

    NFKC (full-width digits become digits), upper case, no white space, no dashes. For text from
    machines, where case or dashes carry meaning, use `Vault.mac` instead of the blind index.
    """
    if value.isascii() and value.isalnum():
        return value.upper()
    kept = [c for c in unicodedata.normalize("NFKC", value) if not _is_gap(c)]
    return unicodedata.normalize("NFKC", "".join(kept).upper())


def _is_gap(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in {"Pd", "Cf", "Zs"}


def decimalise(mac: bytes, digits: int) -> str:
    """Decimal digits from a MAC of 16 bytes.

    The whole MAC is read as one number: with at most 12 digits some values are likelier than
    others by less than 2^-88. (The classic CVV maps A-F onto 0-5 digit by digit, so that low
    digits come up twice as often.)
    """
    assert len(mac) == 16 and 1 <= digits <= MAX_DIGITS
    return f"{int.from_bytes(mac, 'big') % 10**digits:0{digits}d}"


# --- rotation ----------------------------------------------------------------------------------

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class IdType(StrEnum):
    """The SQL type of the column a table is walked by."""

    UUID = "uuid"
    BIGINT = "bigint"
    TEXT = "text"


class RewrapTarget(msgspec.Struct, frozen=True):
    """A column of sealed values. The slice that owns it declares it; `app` collects them.

    `id_column` is unique and indexed: the rotation walks the table in its order.
    """

    schema: str
    table: str
    id_column: str
    sealed_column: str
    id_type: IdType = IdType.UUID

    def __post_init__(self) -> None:
        names = (self.schema, self.table, self.id_column, self.sealed_column)
        assert all(_NAME.fullmatch(name) for name in names), "plain lower-case SQL names"

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}.{self.sealed_column}"


class CardKeyUse(msgspec.Struct, frozen=True):
    """A column that says under which master key version a card's value was made."""

    schema: str
    table: str
    version_column: str

    def __post_init__(self) -> None:
        names = (self.schema, self.table, self.version_column)
        assert all(_NAME.fullmatch(name) for name in names), "plain lower-case SQL names"

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}.{self.version_column}"


class Usage(msgspec.Struct, frozen=True):
    """How many sealed values of a column are under a KEK version.

    `kek` is None for values that are not in the vault's layout at all.
    """

    column: str
    kek: int | None
    count: int


class Status(msgspec.Struct, frozen=True):
    """All that may be known about the vault."""

    suite: Suite
    kek: int
    card_key: int
    keys: tuple[KeyInfo, ...]
    usage: tuple[Usage, ...]


class Progress(msgspec.Struct, frozen=True):
    """Told after every batch of a rotation."""

    column: str
    done: int
    total: int


class Rotated(msgspec.Struct, frozen=True):
    """What a rotation did, in counts of sealed values.

    `added` is false when an earlier rotation was unfinished and this one finished it. `broken`
    values could not be opened and stay as they are; `broken_at` names the first of them as
    `column id`. `left` were locked by others all the time, or sealed meanwhile by processes that
    had not taken up the new version (`RELOAD_S`): the next run finishes them.
    """

    kek: int
    added: bool
    rewrapped: int
    left: int
    broken: int
    broken_at: tuple[str, ...]


def kek_bytes(version: int) -> bytes:
    """A KEK version as it stands in a sealed value (its third and fourth byte)."""
    return version.to_bytes(2, "big")


def head(suite: Suite, kek: int) -> bytes:
    """The first four bytes of a sealed value."""
    return _PREFIX[suite] + kek_bytes(kek)


def kek_of_head(head: bytes) -> int | None:
    """The KEK version from the first four bytes of a sealed value; None if it is not one."""
    if len(head) < 4 or head[0] != LAYOUT_VERSION or head[1] not in _SUITE_OF:
        return None
    return int.from_bytes(head[2:4], "big")
