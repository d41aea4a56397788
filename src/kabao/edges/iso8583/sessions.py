"""Who is signed in, with which keys, in which batch: what every process may know.

Session keys live sealed in `pos.session`, so that either process goes on where another
was. Each keeps what its tills use in memory and asks once a second what has changed.

A terminal has up to two pairs of keys: *proven*, under which a right MAC has come, and
*fresh*, from its last sign-in. A sign-in proves nothing (it carries no MAC), so it must not
take away keys that work: fresh ones displace the proven when the till has used them.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from hmac import compare_digest

import msgspec

from kabao.base.clock import Clock, now
from kabao.base.db import Database
from kabao.edges.iso8583 import sql
from kabao.edges.iso8583.ciphers import Block, mac
from kabao.edges.iso8583.guesses import Guesses
from kabao.edges.iso8583.spec import MacMethod
from kabao.merchants.model import TerminalKey
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.vault.model import TerminalCipher
from kabao.vault.ops import Vault

KEY_BYTES = 16
NEWS_WINDOW = timedelta(seconds=15)
"""How far back changes are asked for: longer than any transaction that makes one."""

SESSIONS_MAX = 50_000
"""Sessions in one process's memory; beyond, the oldest are read again when needed."""

TRUST_S = 1.0
"""How long what was read of a terminal is believed, whatever comes in its name."""

LOADS_AT_ONCE = 4

_SEALED_AT = ("pos.session", "keys")


class Keys:
    """A pair of session keys, ready to use. Its repr shows nothing."""

    __slots__ = ("mak", "pik", "sealed")

    def __init__(self, algorithm: TerminalCipher, pair: bytes, sealed: bytes) -> None:
        self.pik = Block(algorithm, pair[:KEY_BYTES])
        self.mak = Block(algorithm, pair[KEY_BYTES:])
        self.sealed = sealed


class Session:
    """One terminal that has signed in at some time."""

    __slots__ = (
        "algorithm", "batch", "blocked_until_us", "cashier", "company", "count", "counted", "fresh",
        "loaded_s", "proven", "revision", "signed_in", "store", "terminal", "tmk_version",
    )  # fmt: skip

    def __init__(self, row: sql.SessionRow, store: str, company: str, vault: Vault) -> None:
        self.terminal, self.store, self.company = row.terminal, store, company
        self.algorithm = TerminalCipher(row.algorithm)
        self.batch, self.cashier = row.batch, row.cashier
        self.signed_in, self.revision = row.signed_in, row.revision
        self.proven = _opened(row.proven, row, vault)
        self.fresh = _opened(row.fresh, row, vault)
        self.tmk_version = row.tmk_version
        self.blocked_until_us = 0
        self.count, self.counted = 0, False
        """Messages in the batch, repetitions included; and whether the books were asked for those
        before this session.
        """
        self.loaded_s = asyncio.get_running_loop().time()

    def keys_of(self, method: MacMethod, signed: bytes, given: bytes) -> Keys | None:
        """The keys under which this is the right MAC, or None."""
        for keys in (self.proven, self.fresh):
            if keys is not None and compare_digest(mac(method, keys.mak, signed), given):
                return keys
        return None


def _opened(sealed: bytes | None, row: sql.SessionRow, vault: Vault) -> Keys | None:
    if sealed is None:
        return None
    pair = vault.decrypt(*_SEALED_AT, row.terminal, sealed)
    return Keys(TerminalCipher(row.algorithm), pair, sealed)


class SignedIn(msgspec.Struct, frozen=True):
    """What the answer to a sign-in carries: both keys under the TMK, with check values."""

    batch: int
    keys: bytes

    def __repr__(self) -> str:
        return f"SignedIn({self.batch})"


class Sessions:
    """The sessions of one process."""

    def __init__(
        self,
        db: Database,
        vault: Vault,
        org: Org,
        merchants: Merchants,
        guesses: Guesses,
        clock: Clock,
    ) -> None:
        self._db, self._vault, self._org = db, vault, org
        self._merchants, self._guesses, self._clock = merchants, guesses, clock
        self._known: dict[tuple[str, str], Session] = {}
        self._looked_s = -TRUST_S
        self._loads = asyncio.Semaphore(LOADS_AT_ONCE)

    def __len__(self) -> int:
        return len(self._known)

    def cached(self, numbers: tuple[str, str]) -> Session | None:
        """A session in memory, by terminal and merchant number."""
        return self._known.get(numbers)

    def is_usable(self, session: Session) -> bool:
        """Whether its terminal may be used now."""
        terminal = self._merchants.terminal(session.terminal)
        return terminal is not None and terminal.is_active

    def is_over(self, session: Session) -> bool:
        """Whether it must sign in again: its master key has been succeeded or taken away."""
        version = self._merchants.terminal_key_version(session.terminal)
        return not session.signed_in or version != session.tmk_version

    async def load(self, numbers: tuple[str, str]) -> Session | None:
        """Read a session again; None for a terminal that has never signed in, or
        whose master key has been succeeded since.
        """
        known = self._known.get(numbers)
        if known is not None and asyncio.get_running_loop().time() < known.loaded_s + TRUST_S:
            return known
        async with self._loads:
            key = await self.key(numbers)
            if key is None:
                return None
            async with self._db.read() as conn:
                row = await sql.session(conn, key.terminal)
                blocked_until_us = await self._guesses.blocked_until_us(conn, key.terminal)
            if row is None or row.tmk_version != key.version:
                self._known.pop(numbers, None)
                return None
            return self._keep(numbers, row, key, blocked_until_us)

    async def key(self, numbers: tuple[str, str]) -> TerminalKey | None:
        """A terminal's master key; None for one that there is not, or that has none.

        What another process has set up is looked for once a second at most, whoever
        asks: that costs more than asking, and anybody can invent numbers.
        """
        if not self._is_known(numbers):
            now_s = asyncio.get_running_loop().time()
            if now_s < self._looked_s + TRUST_S:
                return None
            self._looked_s = now_s
        return await self._merchants.terminal_keys(*numbers)

    def _is_known(self, numbers: tuple[str, str]) -> bool:
        """Whether the snapshots know the terminal, and a key of it."""
        terminal_no, merchant_no = numbers
        store = self._org.store_by_merchant_no(merchant_no)
        terminal = self._merchants.terminal_by_no(store.id, terminal_no) if store else None
        return terminal is not None and (
            self._merchants.terminal_key_version(terminal.id) is not None
        )

    def _keep(
        self,
        numbers: tuple[str, str],
        row: sql.SessionRow,
        key: TerminalKey,
        blocked_until_us: int,
    ) -> Session:
        if len(self._known) >= SESSIONS_MAX:
            self._known.pop(next(iter(self._known)))
        session = Session(row, key.store, key.company, self._vault)
        session.blocked_until_us = blocked_until_us
        self._known[numbers] = session
        return session

    async def sign_in(
        self, numbers: tuple[str, str], key: TerminalKey, cashier: str | None
    ) -> SignedIn:
        """Fresh keys for a terminal, and the batch it is in (MF-04)."""
        pair = secrets.token_bytes(2 * KEY_BYTES)
        if key.algorithm is TerminalCipher.TDES:
            # Single DES for MACs, as the standard has it: both halves alike.
            pair = pair[:KEY_BYTES] + 2 * pair[KEY_BYTES : KEY_BYTES + 8]
        sealed = self._vault.encrypt(*_SEALED_AT, key.terminal, pair)
        async with self._db.transaction() as conn:
            row = await sql.sign_in(
                conn,
                key.terminal,
                str(key.algorithm),
                key.version,
                sealed,
                cashier,
                now(self._clock),
            )
            known = self._known.get(numbers)
            blocked_until_us = (
                known.blocked_until_us
                if known is not None
                else await self._guesses.blocked_until_us(conn, key.terminal)
            )
        self._keep(numbers, row, key, blocked_until_us)
        return SignedIn(row.batch, _under(key, pair))

    async def prove(self, session: Session, keys: Keys) -> None:
        """These fresh keys were used rightly."""
        if session.fresh is not keys:
            return
        session.proven, session.fresh = keys, None
        session.revision += 1
        async with self._db.transaction() as conn:
            await sql.prove(conn, session.terminal, keys.sealed, now(self._clock))

    async def guessed(self, session: Session) -> None:
        """A wrong card or secret was shown: too many, and the terminal waits, wherever it is."""
        until_us = await self._guesses.count(session.terminal)
        if until_us <= session.blocked_until_us:
            return
        session.blocked_until_us = until_us
        session.revision += 1
        async with self._db.transaction() as conn:
            await sql.touch_session(conn, session.terminal, now(self._clock))

    async def end(self, session: Session) -> None:
        """Signed off: the till must sign in again; its batch stays open."""
        session.signed_in = False
        session.revision += 1
        async with self._db.transaction() as conn:
            await sql.end_session(conn, session.terminal, now(self._clock), settled=False)

    async def refresh(self) -> None:
        """Forget what another process has changed; it is read again when it is needed."""
        if not self._known:
            return
        numbers = {session.terminal: key for key, session in self._known.items()}
        since = now(self._clock) - NEWS_WINDOW
        async with self._db.read() as conn:
            changed = await sql.revisions_since(conn, since, numbers.keys())
        for terminal, revision in changed:
            session = self._known.get(numbers[terminal])
            if session is not None and session.revision < revision:
                del self._known[numbers[terminal]]


def _under(key: TerminalKey, pair: bytes) -> bytes:
    """Field 62 of a sign-in's answer: each key under the TMK and its check value (MF-04)."""
    tmk = Block(key.algorithm, key.tmk)
    pik, mak = pair[:KEY_BYTES], pair[KEY_BYTES:]
    shown = tmk.encrypt(pik) + Block(key.algorithm, pik).check_value()
    if key.algorithm is TerminalCipher.TDES:
        sealed_mak = tmk.encrypt(mak[:8]) + bytes(8)
    else:
        sealed_mak = tmk.encrypt(mak)
    return shown + sealed_mak + Block(key.algorithm, mak).check_value()
