"""The journal: a sealed file that only grows, synced before anything is sent.

A frame is a length (4 bytes and their complement), a nonce (12) and AES-256-GCM over
one entry. What is
sealed with it, but not stored, is the frame's number and the tag of the frame
before, so a frame that is changed, moved, left out or taken from another till's
file is found. A power cut leaves at most one frame unfinished, the last, which
was never acted on: it is cut off. Whoever can write the file can cut off whole
frames at its end as well; what then is missing is found on the platform.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path
from types import UnionType
from typing import Generic, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kabao.till.model import JournalError

E = TypeVar("E")

MAX_BYTES = 1 << 20
"""No journal grows beyond this; one that is compacted in time stays far below."""

_HEAD, _NONCE, _TAG = 8, 12, 16
_DOMAIN = b"kabao-till-1"


class Journal(Generic[E]):
    """Entries of one kind in a file that one process uses at a time.

    Args:
        path: the file; made if there is none.
        key: 32 bytes, this till's own, kept outside the file (in the machine's key store).
        kind: the type of entries, for msgspec.
        max_bytes: how large the file may grow.

    Raises `JournalError`: another process uses it, or somebody else has changed it.
    """

    def __init__(
        self, path: Path, key: bytes, kind: type[E] | UnionType, max_bytes: int = MAX_BYTES
    ) -> None:
        self._path, self._aead, self._max_bytes = path, AESGCM(key), max_bytes
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(kind).decode
        self._lock = os.open(_beside(path, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._open()
        except BlockingIOError:
            os.close(self._lock)
            raise JournalError("another process uses this journal") from None
        except BaseException:
            os.close(self._lock)
            raise

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        _sync_folder(self._path)
        self._read()

    def _read(self) -> None:
        raw = self._path.read_bytes()
        self.entries: list[E] = []
        self._number, self._last = 0, b""
        at = 0
        while at < len(raw):
            start = at + _HEAD
            end = start + int.from_bytes(raw[at : at + 4])
            frame = raw[start:end]
            try:
                if raw[at:start] != _head(frame):
                    raise InvalidTag
                entry = self._decode(self._unseal(frame))
            except (InvalidTag, ValueError):
                if not _unfinished(raw[at:]):
                    raise JournalError(f"{self._path} was changed at byte {at}") from None
                break
            self.entries.append(entry)
            self._number, self._last = self._number + 1, frame[-_TAG:]
            at = end
        if at < len(raw):  # a power cut: never acted on
            os.ftruncate(self._file, at)
            os.fsync(self._file)
        self._size = at

    def append(self, entry: E) -> None:
        """Store an entry; it is on the disk when this returns.

        Raises `JournalError` when the journal is full, `OSError` as the disk does.
        """
        frame = self._seal(self._encode(entry))
        if self._size + len(frame) > self._max_bytes:
            raise JournalError("the journal is full")
        try:
            _write(self._file, frame)
            os.fsync(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(frame)
        self._number, self._last = self._number + 1, frame[-_TAG:]
        self.entries.append(entry)

    def rewrite(self, entries: list[E]) -> None:
        """Keep only these, all or nothing: a new file takes the old one's place."""
        fresh = _beside(self._path, ".new")
        self._number, self._last, size = 0, b"", 0
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        for entry in entries:
            frame = self._seal(self._encode(entry))
            _write(file, frame)
            size += len(frame)
            self._number, self._last = self._number + 1, frame[-_TAG:]
        os.fsync(file)
        fresh.replace(self._path)
        _sync_folder(self._path)
        os.close(self._file)
        self._file, self._size, self.entries = file, size, list(entries)

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._file)
        os.close(self._lock)

    def _bound_to(self) -> bytes:
        return _DOMAIN + self._number.to_bytes(8) + self._last

    def _seal(self, plain: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._aead.encrypt(nonce, plain, self._bound_to())
        return _head(sealed) + sealed

    def _unseal(self, frame: bytes) -> bytes:
        if len(frame) < _NONCE + _TAG:
            raise InvalidTag
        return self._aead.decrypt(frame[:_NONCE], frame[_NONCE:], self._bound_to())


def _beside(path: Path, suffix: str) -> Path:
    """`till.journal.lock` for `till.journal`: beside a `till.queue` that has its own."""
    return path.with_name(path.name + suffix)


def _head(frame: bytes) -> bytes:
    return len(frame).to_bytes(4) + (len(frame) ^ 0xFFFFFFFF).to_bytes(4)


def _unfinished(rest: bytes) -> bool:
    """Whether this may be what a power cut left of the last frame."""
    if not any(rest[_HEAD:]):
        return True
    length = int.from_bytes(rest[:4])
    return length ^ int.from_bytes(rest[4:_HEAD]) == 0xFFFFFFFF and len(rest) <= _HEAD + length


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
