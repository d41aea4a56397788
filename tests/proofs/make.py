"""Builders for the tests of proofs."""

import re
from pathlib import Path

from kabao.base.clock import BusinessDays, FixedClock
from kabao.base.db import Database
from kabao.base.ids import RandomIds
from kabao.policy.ops import Policy
from kabao.proofs.ops import Proofs, SmsTable
from kabao.vault.ops import FileKeys, Vault

PURPOSE, SUBJECT, PHONE = "card.bind", "card_0123", "13800000001"


def vault(folder: Path, clock: FixedClock) -> Vault:
    return Vault(FileKeys(folder / "keys.json", clock, create_if_missing=True), clock)


class World:
    """Proofs on a database, with a view of the phones."""

    def __init__(self, db: Database, folder: Path, clock: FixedClock) -> None:
        self.db, self.clock = db, clock
        self.vault = vault(folder, clock)
        ids = RandomIds(clock)
        self.sms = SmsTable(self.vault, ids, clock)
        policy = Policy.load(clock)
        self.proofs = Proofs(db, self.vault, policy, ids, clock, BusinessDays(), self.sms)

    async def send(
        self, *, purpose: str = PURPOSE, subject: str = SUBJECT, phone: str = PHONE
    ) -> tuple[str, str]:
        """Send a code; its id, and the digits as the phone shows them."""
        async with self.db.transaction() as conn:
            sent = await self.proofs.send(conn, purpose, subject, phone)
        return sent.id, await self.read()

    async def read(self) -> str:
        """The digits of the one text that waits."""
        async with self.db.transaction() as conn:
            (sms,) = await self.sms.take(conn)
        found = re.search(r"\b\d{6}\b", sms.text)
        assert found is not None
        return found.group()


def other(digits: str) -> str:
    """Digits that are wrong."""
    return f"{(int(digits) + 1) % 10 ** len(digits):0{len(digits)}d}"
