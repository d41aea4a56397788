"""Debts between companies and stores, as a netting run leaves them, and banks to pay them at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import httpx
from psycopg.types.json import Json

from kabao.base.clock import Clock
from kabao.base.db import Conn
from kabao.base.ids import from_edge
from kabao.clearing.model.settlement import Instruction, InstructionState
from kabao.ledger.model import Account, HouseMove, Purpose
from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Host
from tests.app.world import World, made
from tests.funding.world import key_pool

BANK_NO = "102100099996"
MONEY_FEN = 100_000_000


class Night:
    """A platform whose company pays through a bank of the sandbox."""

    def __init__(self, at: World, host: Host) -> None:
        self.at, self.host, self.kabao = at, host, at.kabao
        self.company = from_edge("com", at.company)
        self.other = from_edge("com", at.other)

    async def desk(self, method: str, path: str, said: dict[str, Any] | None = None) -> Any:
        async with httpx.AsyncClient(base_url=self.host.desk_url, trust_env=False) as people:
            done = await people.request(method, f"/{path}", json=said)
        assert done.status_code == 200, done.text
        return done.json()

    async def bank_account(
        self, account: str, company: str | None = None, name: str = "Other", **more: Any
    ) -> str:
        """A settlement account, asked for by one and agreed to by another."""
        body = {"company": company or self.at.other, "name": name, "account": account}
        body |= {"bank": BANK_NO, "reason": "contract"} | more
        asked = await made(self.at.operator.post("/v1/settlement-accounts", body))
        agreed = await made(self.at.approve(asked["id"]))
        return str(agreed["result"]["account"])

    async def owes(self, amount_fen: int, *, store: str | None = None, n: int = 1) -> list[str]:
        """The company owes the other one, or a store of it, `n` times."""
        ids = [self.kabao.ids.new() for _ in range(n)]
        today = self.kabao.days.of(self.kabao.clock.now_us())
        async with self.kabao.db.transaction() as conn:
            for ident in ids:
                one = Instruction(
                    id=ident,
                    window=self.kabao.ids.new(),
                    payer_company=self.company,
                    payee_store=store,
                    payee_company=self.other,
                    currency="CNY",
                    amount_fen=amount_fen,
                    due_on=today,
                    state=InstructionState.DUE,
                    settlement_ids=(),
                )
                await owe(conn, one, today)
            owner = store or self.other
            move = HouseMove(
                debit=Account.SET_OFF,
                debit_owner=self.company,
                credit=Account.PAYABLE,
                credit_owner=owner,
                amount_fen=amount_fen * n,
                purpose=Purpose.NET,
                issuer=self.company,
            )
            await self.kabao.ledger.move_in(conn, [move], company=self.company, key=f"t/{ids[0]}")
        return ids

    async def release(self) -> str:
        """What is due, asked for by one and agreed to by another: the file."""
        body = {"company": self.at.company, "reason": "T+1"}
        asked = await made(self.at.operator.post("/v1/payout-releases", body))
        agreed = await made(self.at.approve(asked["id"]))
        return str(agreed["result"]["batch"])

    async def payouts(self, **query: Any) -> list[dict[str, Any]]:
        return list((await made(self.at.operator.get("/v1/payouts", limit=200, **query)))["data"])

    async def balance(self, account: Account, owner: str) -> int:
        """Of a house account: credits less debits, in fen."""
        async with self.kabao.db.read() as conn:
            row = await (
                await conn.execute(
                    "select coalesce(sum(case when credit = %(a)s and credit_owner = %(o)s then"
                    " amount_fen else 0 end) - sum(case when debit = %(a)s and debit_owner = %(o)s"
                    " then amount_fen else 0 end), 0) from ledger.house_transfer",
                    {"a": int(account), "o": owner},
                )
            ).fetchone()
        assert row is not None
        return int(row[0])

    async def cases(self) -> list[dict[str, Any]]:
        return list((await made(self.at.operator.get("/v1/cases", limit=200)))["data"])


async def owe(conn: Conn, one: Instruction, day: date) -> None:
    """An instruction, with the window and the run that it must have."""
    no = int(one.window[-12:], 16)
    await conn.execute(
        'insert into clearing."window" (id, no, day, to_cut, until, state, cut_at)'
        " values (%s, %s, %s, %s, %s, 'cut', %s)",
        [one.window, no, date.fromordinal(no % 3_000_000 + 1), Json({}), day, day],
    )
    await conn.execute(
        'insert into clearing.run (id, "window", no, inputs, inputs_digest, result, result_digest,'
        " run_at) values (%s, %s, 1, '', '', '', '', %s)",
        [one.window, one.window, day],
    )
    await conn.execute(
        'insert into clearing.instruction (id, run, "window", payer_company, payee_store,'
        " payee_company, currency, amount_fen, due_on, state, settlement_ids)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '{}')",
        [
            one.id, one.window, one.window, one.payer_company, one.payee_store, one.payee_company,
            one.currency, one.amount_fen, one.due_on, one.state,
        ],
    )  # fmt: skip


@asynccontextmanager
async def night(at: World, clock: Clock | None = None) -> AsyncIterator[Night]:
    """The company has a channel at a bank, with money there, whose clock may be another one."""
    now_us = (clock or at.clock).now_us
    host = Host(PARTIES["bank"](now_us, Chance(1), key_pool()), Chance(2))
    await host.start()
    try:
        opened = Night(at, host)
        await opened.desk("POST", "transfers", {"amount": MONEY_FEN, "words": "seed"})
        await at.channel(
            {
                "company": at.company,
                "name": "bank",
                "kind": "bank",
                "account": host.account(),
                "scenes": ["transfer"],
            }
        )
        yield opened
    finally:
        await host.stop()
