"""The key store in a file: for one shop, for tests, and until the HSM has come.

The file is JSON, readable by its owner alone, and replaced as a whole: whoever reads it sees the
old keys or the new ones. Writers take turns on a lock beside it. Copies of the key material live
in this process only as ready-made cipher objects.

A data key is wrapped by GCM under the KEK with a random nonce of 96 bits. Two equal nonces under
one KEK would give away both data keys: after 2^32 (4.3 thousand million) sealed values the chance
of any is 2^-33 (NIST SP 800-38D, 8.3), so a KEK version must be rotated before that.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from kabao import sm2
from kabao.base.clock import Clock, now, to_us
from kabao.vault.ciphers import Aead, CardMaster, KeyedHash
from kabao.vault.model import (
    ALGORITHMS,
    CIPHER_OF,
    HASH_OF,
    KEY_BYTES,
    KEY_IN_USE,
    KEY_UNKNOWN,
    KEYS_UNUSABLE,
    MAX_VERSION,
    SEALED_BROKEN,
    TAG_BYTES,
    VERSIONED,
    YOUNG,
    Algorithm,
    KeyInfo,
    KeyKind,
    Suite,
    head,
)
from kabao.vault.signatures import Signer

FORMAT = "kabao-keys-1"
_NONCE_BYTES = 12
_MAX_FILE_BYTES = 1 << 20


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One key in the file. A retired key keeps its entry without its secret (hex)."""

    kind: KeyKind
    version: int
    algorithm: Algorithm
    created_at: datetime
    secret: str | None
    retired_at: datetime | None = None

    def __repr__(self) -> str:
        return f"<key {self.kind} {self.version} {self.algorithm}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("kind", self.kind), ("version", self.version), ("algorithm", self.algorithm)]

    def key(self) -> bytes:
        assert self.secret is not None
        return bytes.fromhex(self.secret)

    def info(self) -> KeyInfo:
        name = f"kabao key check {self.kind} {self.algorithm}".encode()
        # A hash and not the usual encryption of zeros, which is part of GCM's own secret.
        check = hashlib.sha256(name + self.key()).hexdigest()[:8] if self.secret else ""
        retired = to_us(self.retired_at) if self.retired_at else None
        return KeyInfo(
            self.kind, self.version, self.algorithm, to_us(self.created_at), check, retired
        )


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    format: str
    keys: list[_Entry]


class _Ring:
    """The keys of one version of the file, ready to use."""

    __slots__ = ("hashes", "infos", "keks", "masters", "signers", "stamp")

    def __init__(self, entries: Sequence[_Entry], stamp: tuple[int, ...]) -> None:
        self.stamp = stamp
        self.infos = tuple(entry.info() for entry in entries)
        alive = [entry for entry in entries if entry.secret is not None]
        suite_of = {algorithm: suite for suite, algorithm in CIPHER_OF.items()}
        self.keks = {
            (entry.version, suite_of[entry.algorithm]): Aead(suite_of[entry.algorithm], entry.key())
            for entry in alive
            if entry.kind is KeyKind.KEK
        }
        self.masters = {
            entry.version: CardMaster(entry.key())
            for entry in alive
            if entry.kind is KeyKind.CARD_VALUE
        }
        self.signers = {
            entry.version: Signer(entry.key()) for entry in alive if entry.kind is KeyKind.SIGNATURE
        }
        self.hashes = {
            entry.kind: KeyedHash(entry.algorithm, entry.key())
            for entry in alive
            if entry.kind not in VERSIONED
        }


class FileKeys:
    """A `KeyStore` in a JSON file. See `ports` for what the methods promise."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        create_if_missing: bool = False,
        suite: Suite = Suite.SM4_GCM,
    ) -> None:
        """Read the file, or make it with fresh keys if it is missing and that is allowed.

        `suite` decides only which keyed hash fresh keys are for. Raises `vault_keys_unusable`
        with one line that says what is wrong with the file.
        """
        self._path, self._clock = path, clock
        if create_if_missing:
            self._create(suite)
            self._add_young()
        self._ring = self._read()

    def __repr__(self) -> str:
        return f"<FileKeys {self._path}>"

    def infos(self) -> tuple[KeyInfo, ...]:
        """Every key there is; reads the file again when it was replaced."""
        if self._stamp() != self._ring.stamp:
            self._ring = self._read()
        return self._ring.infos

    def wrap(self, version: int, suite: Suite, data_keys: Sequence[bytes]) -> list[bytes]:
        """Nonce, encrypted data key, tag: 28 bytes more than the data key."""
        kek, aad = self._kek(version, suite), _wrap_aad(version, suite)
        wrapped = []
        for data_key in data_keys:
            nonce = secrets.token_bytes(_NONCE_BYTES)
            wrapped.append(nonce + kek.encrypt(nonce, data_key, aad))
        return wrapped

    def unwrap(self, version: int, suite: Suite, wrapped: Sequence[bytes]) -> list[bytes]:
        """The data keys."""
        kek, aad = self._kek(version, suite), _wrap_aad(version, suite)
        size = _NONCE_BYTES + KEY_BYTES[CIPHER_OF[suite]] + TAG_BYTES
        if any(len(one) != size for one in wrapped):
            raise SEALED_BROKEN.error()
        return [kek.decrypt(one[:_NONCE_BYTES], one[_NONCE_BYTES:], aad) for one in wrapped]

    def macs(self, kind: KeyKind, messages: Sequence[bytes]) -> list[bytes]:
        """HMAC-SM3 or HMAC-SHA256, as the key was born."""
        keyed = self._ring.hashes[kind]
        return [keyed.of(message) for message in messages]

    def card_mac(self, version: int, card: bytes, message: bytes) -> bytes:
        """SM4-CMAC under the card's own key."""
        master = self._ring.masters.get(version)
        if master is None:
            raise KEY_UNKNOWN.error(f"There is no card value key of version {version}.")
        return master.mac(card, message)

    def sign(self, version: int, message: bytes) -> bytes:
        """SM2 by OpenSSL where it can, else in Python (`sm2` says what that is worth)."""
        return self._signer(version).sign(message)

    def public_key(self, version: int) -> bytes:
        """The public part of a signing key."""
        return self._signer(version).public

    def add(self, kind: KeyKind) -> int:
        """The next version, in the file and here."""
        assert kind in VERSIONED, "this kind has one version"
        with self._writing() as entries:
            version = 1 + max(entry.version for entry in entries if entry.kind is kind)
            if version > MAX_VERSION:
                raise KEYS_UNUSABLE.error(f"{self._path}: {kind} has no version numbers left.")
            entries.extend(self._fresh(kind, version, sorted(ALGORITHMS[kind])))
        return version

    def retire(self, kind: KeyKind, version: int) -> None:
        """Take the secret out of the file; the entry stays."""
        assert kind in VERSIONED, "this kind has one version"
        with self._writing() as entries:
            found = [entry for entry in entries if (entry.kind, entry.version) == (kind, version)]
            if not any(entry.secret for entry in found):
                raise KEY_UNKNOWN.error(f"There is no {kind} of version {version} to retire.")
            if version == max(entry.version for entry in entries if entry.kind is kind):
                raise KEY_IN_USE.error(f"The newest {kind} cannot be retired.", rule="P-22")
            for entry in found:
                entry.secret, entry.retired_at = None, now(self._clock)

    def _kek(self, version: int, suite: Suite) -> Aead:
        kek = self._ring.keks.get((version, suite))
        if kek is None:
            raise KEY_UNKNOWN.error(f"There is no {suite} key-encryption key of version {version}.")
        return kek

    def _signer(self, version: int) -> Signer:
        signer = self._ring.signers.get(version)
        if signer is None:
            raise KEY_UNKNOWN.error(f"There is no signing key of version {version}.")
        return signer

    def _create(self, suite: Suite) -> None:
        with self._problems():
            if self._path.exists():
                return
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock():
            if self._path.exists():  # another process was first
                return
            entries: list[_Entry] = []
            for kind in KeyKind:
                cipher = kind in VERSIONED
                entries += self._fresh(
                    kind, 1, sorted(ALGORITHMS[kind]) if cipher else [HASH_OF[suite]]
                )
            self._write(entries)

    def _fresh(self, kind: KeyKind, version: int, algorithms: Sequence[Algorithm]) -> list[_Entry]:
        at = now(self._clock)
        return [
            _Entry(kind, version, algorithm, at, _new_secret(algorithm).hex())
            for algorithm in algorithms
        ]

    def _add_young(self) -> None:
        """Complete a file that an earlier version made."""
        entries, _ = self._load(complete=False)
        if {entry.kind for entry in entries} >= YOUNG:
            return
        with self._lock():
            entries, _ = self._load(complete=False)
            for kind in sorted(YOUNG - {entry.kind for entry in entries}):
                entries += self._fresh(kind, 1, sorted(ALGORITHMS[kind]))
            self._write(entries)

    def _stamp(self) -> tuple[int, ...]:
        with self._problems():
            return _stamp_of(self._path.stat())

    def _read(self) -> _Ring:
        entries, stamp = self._load()
        return _Ring(entries, stamp)

    def _load(self, *, complete: bool = True) -> tuple[list[_Entry], tuple[int, ...]]:
        with self._problems(), self._path.open("rb") as opened:
            state = os.fstat(opened.fileno())
            if state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise self._unusable(
                    f"others can read it (mode {stat.S_IMODE(state.st_mode):04o}). "
                    f"Run: chmod 600 {self._path}"
                )
            text = opened.read(_MAX_FILE_BYTES + 1)
        if len(text) > _MAX_FILE_BYTES:
            raise self._unusable("it is too large for a key file")
        try:
            file = msgspec.json.decode(text, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError) as bad:
            # msgspec names the place, never the value.
            raise self._unusable(f"it is not a key file: {bad}") from None
        self._check(file, frozenset(KeyKind) if complete else frozenset(KeyKind) - YOUNG)
        return file.keys, _stamp_of(state)

    def _check(self, file: _File, needed: frozenset[KeyKind]) -> None:
        """Every key well-formed, named once, and none missing that is needed."""
        if file.format != FORMAT:
            raise self._unusable(f"its format is not {FORMAT}")
        seen: set[tuple[KeyKind, int, Algorithm]] = set()
        for entry in file.keys:
            self._check_entry(entry)
            name = (entry.kind, entry.version, entry.algorithm)
            if name in seen:
                raise self._unusable(f"{_name(entry)} stands in it twice")
            seen.add(name)
        for kind in KeyKind:
            alive = [entry for entry in file.keys if entry.kind is kind and entry.secret]
            if not alive and kind in needed:
                raise self._unusable(f"it has no {kind} key")
            if kind not in VERSIONED and len(alive) > 1:
                raise self._unusable(f"it has more than one {kind} key")

    def _check_entry(self, entry: _Entry) -> None:
        if entry.algorithm not in ALGORITHMS[entry.kind]:
            raise self._unusable(f"{_name(entry)} has an algorithm that does not suit its kind")
        if not 1 <= entry.version <= MAX_VERSION:
            raise self._unusable(f"{_name(entry)} has a version outside 1..{MAX_VERSION}")
        if entry.created_at.tzinfo is None or (
            entry.retired_at is not None and entry.retired_at.tzinfo is None
        ):
            raise self._unusable(f"{_name(entry)} has a time without offset")
        if (entry.secret is None) != (entry.retired_at is not None):
            raise self._unusable(f"{_name(entry)} must either be retired or have a secret")
        if entry.secret is None:
            return
        size = KEY_BYTES[entry.algorithm]
        try:
            secret = bytes.fromhex(entry.secret)
        except ValueError:
            raise self._unusable(f"the secret of {_name(entry)} is not hex") from None
        if len(secret) != size:
            raise self._unusable(f"{_name(entry)} has {len(secret)} bytes and needs {size}")
        if entry.algorithm is Algorithm.SM2 and not sm2.is_private(secret):
            raise self._unusable(f"{_name(entry)} is out of range")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[list[_Entry]]:
        """The file's entries, to be changed in place; then the file is replaced."""
        with self._lock():
            entries, _ = self._load()
            yield entries
            self._write(entries)
            self._ring = self._read()

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One writer at a time, over all processes; a dead one lets go by itself."""
        with self._problems():
            lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, entries: list[_Entry]) -> None:
        text = msgspec.json.format(msgspec.json.encode(_File(FORMAT, entries)), indent=1)
        fresh = self._path.with_name(self._path.name + ".new")
        with self._problems():
            fresh.unlink(missing_ok=True)
            opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(opened, "wb") as out:
                out.write(text + b"\n")
                out.flush()
                os.fsync(opened)
            fresh.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @contextlib.contextmanager
    def _problems(self) -> Iterator[None]:
        """What the operating system refuses becomes one line."""
        try:
            yield
        except FileNotFoundError:
            raise self._unusable("it does not exist") from None
        except OSError as refused:
            raise self._unusable(refused.strerror or "it cannot be used") from None

    def _unusable(self, why: str) -> Exception:
        return KEYS_UNUSABLE.error(f"Key file {self._path}: {why}.")


def _new_secret(algorithm: Algorithm) -> bytes:
    if algorithm is Algorithm.SM2:
        return sm2.new_private()
    return secrets.token_bytes(KEY_BYTES[algorithm])


def _name(entry: _Entry) -> str:
    return f"{entry.kind} version {entry.version} ({entry.algorithm})"


def _stamp_of(state: os.stat_result) -> tuple[int, ...]:
    return state.st_ino, state.st_mtime_ns, state.st_size


def _wrap_aad(version: int, suite: Suite) -> bytes:
    """What a wrapped data key is bound to."""
    return b"kabao kek " + head(suite, version)
