"""Seal and open, blind index, MACs, PINs, card values: pure computing with the store's keys."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hmac import compare_digest

from kabao.base.clock import US_PER_S, Clock, now
from kabao.base.db import Conn
from kabao.base.errors import KabaoError
from kabao.base.ids import is_id
from kabao.vault import sql
from kabao.vault.ciphers import Aead, terminal_block
from kabao.vault.model import (
    CIPHER_OF,
    KEY_BYTES,
    KEY_UNKNOWN,
    KEYS_UNUSABLE,
    MAX_DIGITS,
    MIN_SALT_BYTES,
    PIN_MAC_BYTES,
    RELOAD_S,
    SEALED_BROKEN,
    TRUST_S,
    WRONG_KEYS,
    KeyInfo,
    KeyKind,
    Signature,
    Suite,
    TerminalCipher,
    decimalise,
    frame,
    normalise,
    pack,
    place,
    purpose_frame,
    unpack,
)
from kabao.vault.ports import KeyStore

_NONCE = bytes(12)
"""The nonce under every data key: a data key seals one value, so none repeats."""


class Vault:
    """One per process. Synchronous, and without I/O while the keys are in a file, except that
    the file is looked at again every `RELOAD_S` and when a KEK version is not known here.
    """

    def __init__(self, keys: KeyStore, clock: Clock, *, suite: Suite = Suite.SM4_GCM) -> None:
        """Raises `vault_keys_unusable` when the store lacks a key."""
        self._keys, self._clock, self._suite = keys, clock, suite
        self.reload()

    def __repr__(self) -> str:
        return f"<Vault {self._suite} kek {self._kek}>"

    @property
    def suite(self) -> Suite:
        """What new values are sealed with."""
        return self._suite

    @property
    def kek_version(self) -> int:
        """The KEK that new values are sealed under."""
        return self._kek

    @property
    def card_key_version(self) -> int:
        """The master key version for the values of new cards."""
        self._look_again()
        return self._card_key

    @property
    def keys(self) -> tuple[KeyInfo, ...]:
        """Every key as last seen, without material."""
        return self._infos

    @property
    def store(self) -> KeyStore:
        """Where the keys are: for `Rotation`, which adds and retires them."""
        return self._keys

    def reload(self) -> None:
        """See which versions there are now. Raises what the store raises."""
        infos = self._keys.infos()
        alive = [info for info in infos if info.retired_at_us is None]
        for kind in KeyKind:
            if not any(info.kind is kind for info in alive):
                raise KEYS_UNUSABLE.error(f"The key store has no {kind} key.")
        kek = max(info.version for info in alive if info.kind is KeyKind.KEK)
        have = {i.algorithm for i in alive if i.kind is KeyKind.KEK and i.version == kek}
        if CIPHER_OF[self._suite] not in have:
            raise KEYS_UNUSABLE.error(f"KEK version {kek} has no key for {self._suite}.")
        self._kek = kek
        self._card_key = max(i.version for i in alive if i.kind is KeyKind.CARD_VALUE)
        self._signature = max(i.version for i in alive if i.kind is KeyKind.SIGNATURE)
        self._infos, self._seen_us = infos, self._clock.now_us()

    async def check(self, conn: Conn) -> None:
        """Refuse a database that was written with other keys, and remember new ones.

        Call at every start, before anything is sealed. Raises `vault_wrong_keys`.
        """
        mine = {(str(i.kind), i.version, str(i.algorithm)): i for i in self._infos}
        fresh = [
            sql.KeyCheck(*name, info.check_value)
            for name, info in mine.items()
            if info.retired_at_us is None
        ]
        await sql.add_key_checks(conn, fresh, now(self._clock))
        for row in await sql.key_checks(conn):
            name = f"{row.kind} version {row.version} ({row.algorithm})"
            info = mine.get((row.kind, row.version, row.algorithm))
            if info is None:
                raise WRONG_KEYS.error(
                    f"This database was written with {name}, which the key store does not have. "
                    "Restore the newest back-up of the keys."
                )
            if info.retired_at_us is None and info.check_value != row.check_value:
                raise WRONG_KEYS.error(
                    f"The key store's {name} is not the key this database was written with."
                )

    # --- sealing -------------------------------------------------------------------------------

    def encrypt(self, table: str, column: str, record_id: str, plain: bytes) -> bytes:
        """Seal a value for one place. 65 bytes longer than `plain` (SM4) or 81 (AES-256).

        Give the table with its schema (`"customers.customer"`). Raises `unavailable` or
        `vault_keys_unusable` when the key store has not answered for `TRUST_S`.
        """
        return self.encrypt_many(table, column, ((record_id, plain),))[0]

    def encrypt_many(
        self, table: str, column: str, records: Sequence[tuple[str, bytes]]
    ) -> list[bytes]:
        """Seal many `(id, plain)` with one call to the key store. Keep it under a thousand."""
        self._look_again()
        suite, kek = self._suite, self._kek
        size = KEY_BYTES[CIPHER_OF[suite]]
        data_keys = [secrets.token_bytes(size) for _ in records]
        wrapped = self._keys.wrap(kek, suite, data_keys)
        return [
            pack(
                suite,
                kek,
                wrap,
                Aead(suite, key).encrypt(_NONCE, plain, place(suite, table, column, record_id)),
            )
            for key, wrap, (record_id, plain) in zip(data_keys, wrapped, records, strict=True)
        ]

    def decrypt(self, table: str, column: str, record_id: str, sealed: bytes) -> bytes:
        """Open a value in its place, whatever its suite.

        Raises `sealed_value_broken` when anything about it changed, `vault_key_unknown` when
        its KEK is gone.
        """
        parts = unpack(sealed)
        data_key = self._unwrap(parts.kek, parts.suite, parts.wrapped)
        aad = place(parts.suite, table, column, record_id)
        return Aead(parts.suite, data_key).decrypt(_NONCE, parts.body, aad)

    def rewrap(self, sealed: bytes) -> bytes:
        """The same value under the newest KEK; its ciphertext stays, byte for byte."""
        parts = unpack(sealed)
        data_key = self._unwrap(parts.kek, parts.suite, parts.wrapped)
        wrapped = self._keys.wrap(self._kek, parts.suite, [data_key])[0]
        return pack(parts.suite, self._kek, wrapped, parts.body)

    def _unwrap(self, kek: int, suite: Suite, wrapped: bytes) -> bytes:
        try:
            data_key = self._keys.unwrap(kek, suite, [wrapped])[0]
        except KabaoError as unknown:
            if unknown.code is not KEY_UNKNOWN:
                raise
            self.reload()  # another process may have rotated
            data_key = self._keys.unwrap(kek, suite, [wrapped])[0]
        if len(data_key) != KEY_BYTES[CIPHER_OF[suite]]:
            raise SEALED_BROKEN.error()
        return data_key

    def _look_again(self) -> None:
        """Keep the list of keys young: retiring a KEK counts on it (`GRACE_S`)."""
        age_us = self._clock.now_us() - self._seen_us
        if 0 <= age_us < RELOAD_S * US_PER_S:
            return
        try:
            self.reload()
        except KabaoError:
            if not 0 <= age_us < TRUST_S * US_PER_S:
                raise

    # --- keyed hashes --------------------------------------------------------------------------

    def blind_index(self, purpose: str, value: str) -> bytes:
        """32 bytes by which a row is found without opening it. `purpose` separates domains:
        `"phone"`, `"card_number"`. The value is normalised (`model.normalise`).
        """
        text = normalise(value).encode("utf-8", "surrogatepass")
        return self._keys.macs(KeyKind.BLIND_INDEX, (purpose_frame(purpose) + frame(text),))[0]

    def blind_indexes(self, purpose: str, values: Sequence[str]) -> list[bytes]:
        """Many at once: one round trip where the keys are in an HSM."""
        head = purpose_frame(purpose)
        texts = [normalise(value).encode("utf-8", "surrogatepass") for value in values]
        return self._keys.macs(KeyKind.BLIND_INDEX, [head + frame(text) for text in texts])

    def mac(self, purpose: str, *parts: bytes) -> bytes:
        """32 bytes: keyed MAC over parts whose borders count. Compare with `compare_digest`."""
        return self._keys.macs(KeyKind.MAC, (purpose_frame(purpose) + frame(*parts),))[0]

    def pin_mac(self, pin: str, salt: bytes) -> bytes:
        """16 bytes to store for a PIN. `salt` is the card's own, at least 8 bytes.

        A keyed MAC and not a slow hash, as PVVs are: a payment cannot wait, and a stolen table
        is useless without the key.
        """
        assert len(salt) >= MIN_SALT_BYTES, "a PIN needs the salt of its card"
        message = purpose_frame("pin") + frame(salt, pin.encode("utf-8", "surrogatepass"))
        return self._keys.macs(KeyKind.PIN, (message,))[0][:PIN_MAC_BYTES]

    def pin_matches(self, pin: str, salt: bytes, stored: bytes) -> bool:
        """Whether this is the PIN, in time that does not depend on how wrong it is."""
        return compare_digest(self.pin_mac(pin, salt), stored)

    # --- terminals' keys -----------------------------------------------------------------------

    @staticmethod
    def check_value(cipher: TerminalCipher, key: bytes) -> bytes:
        """4 bytes by which two sides see that they have the same key of 16 bytes (MF-04)."""
        return terminal_block(cipher, key)[:4]

    @property
    def signature_version(self) -> int:
        """The key that `sign` signs with now."""
        self._look_again()
        return self._signature

    # --- signatures ----------------------------------------------------------------------------

    def sign(self, message: bytes) -> Signature:
        """Sign with the newest signing key (SM2 over SM3, GB/T 32918.2).

        Anybody with the public key can check it: `verify_signature`.
        """
        return Signature(self._signature, self._keys.sign(self._signature, message))

    def public_key(self, version: int | None = None) -> bytes:
        """64 bytes, x and y: of the newest signing key, or of that version."""
        return self._keys.public_key(self._signature if version is None else version)

    # --- card values ---------------------------------------------------------------------------

    def card_value(self, card_id: str, key_version: int, *parts: str, digits: int) -> str:
        """The verification value of a card for these parts (P-09, P-22): `digits` digits.

        For a new card `key_version` is `card_key_version`. Raises `vault_key_unknown` for a
        version that is missing or retired.
        """
        assert is_id(card_id), "a card id is 32 hex characters"
        assert 1 <= digits <= MAX_DIGITS
        card = bytes.fromhex(card_id)
        message = frame(b"card value", *[p.encode("utf-8", "surrogatepass") for p in parts])
        try:
            mac = self._keys.card_mac(key_version, card, message)
        except KabaoError as unknown:
            if unknown.code is not KEY_UNKNOWN:
                raise
            self.reload()
            mac = self._keys.card_mac(key_version, card, message)
        return decimalise(mac, digits)

    def card_value_matches(
        self, value: str, card_id: str, key_version: int, *parts: str, digits: int
    ) -> bool:
        """Whether a presented value is right. False for a version there is not: versions come
        from outside, on the track.
        """
        try:
            expected = self.card_value(card_id, key_version, *parts, digits=digits)
        except KabaoError as unknown:
            if unknown.code is not KEY_UNKNOWN:
                raise
            return False
        return compare_digest(expected.encode(), value.encode("utf-8", "surrogatepass"))
