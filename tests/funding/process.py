"""A process of funding's own, to be killed: it takes notifications, begins and asks.

`python -m tests.funding.process <folder> <database> <port> <anchor> <epoch> <rate>`. Its purpose
writes a line to a table without a key, so that what is loaded twice is seen.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from kabao.app.channels import DIRECT, Lines, makers
from kabao.base.clock import BusinessDays, Clock, SimulatedClock
from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.base.ids import RandomIds, from_edge
from kabao.cases.ops import Cases
from kabao.funding.model.answers import Incoming, Paid, Payer
from kabao.funding.model.collections import Collection, FundingRefund
from kabao.funding.ops import Funding
from kabao.org.ops import Org
from kabao.policy.ops import NATIONAL, Policy
from kabao.vault.ops import FileKeys, Vault
from kabao_sandbox.party.http import Request, Response, Server

TABLE = "create table loaded (collection uuid not null, given_up boolean not null)"
WORK_S = 0.01
"""What a purpose takes inside the transaction: time to be killed in."""


class Notebook:
    """The purpose."""

    async def confirmed(self, conn: Conn, collection: Collection, paid: Paid) -> None:
        await conn.execute("insert into loaded values (%s, false)", [collection.id])
        await asyncio.sleep(WORK_S)

    async def given_up(
        self, conn: Conn, collection: Collection, code: str, rule: str | None
    ) -> None:
        await conn.execute("insert into loaded values (%s, true)", [collection.id])

    async def refunded(self, conn: Conn, refund: FundingRefund) -> None:
        """Nobody asks for one."""

    async def recalled(self, conn: Conn, collection: Collection, gone: FundingRefund) -> None:
        """Nobody takes anything back."""


def opened(db: Database, clock: Clock, folder: Path, lines: Lines, notify_base: str) -> Funding:
    """Funding as a process of the platform has it."""
    days, policy, ids = BusinessDays(), Policy.load(clock), RandomIds(clock)
    vault = Vault(FileKeys(folder / "keys.json", clock, create_if_missing=True), clock)
    funding = Funding(
        db,
        Cases(policy, ids, clock, days),
        vault,
        policy,
        Org(db, ids, clock, days),
        ids,
        clock,
        days,
        makers=makers(lines, clock),
        direct=DIRECT,
        rules_of=lambda _, day: policy.rules(jurisdiction=NATIONAL, on=day),
        notify_base=notify_base,
    )
    funding.serve("load", Notebook())
    return funding


async def main(folder: str, url: str, port: str, *clock: str) -> None:
    """Until it is killed."""
    anchor, epoch, rate = clock
    db = Database(url)
    await db.open()
    simulated = SimulatedClock(int(anchor), int(epoch), float(rate))
    funding = opened(db, simulated, Path(folder), Lines(), f"http://127.0.0.1:{port}")
    await funding.refresh()

    async def answer(request: Request) -> Response:
        _, what, ident = request.path.rsplit("/", 2)
        try:
            if what == "begin":
                await funding.begin(ident, Payer(request.query.get("code")))
                return Response(200)
            incoming = Incoming(request.headers, request.body)
            reply = await funding.notify(from_edge("chn", ident), incoming)
        except KabaoError as refused:
            return Response(503, refused.code.name.encode())
        return Response(reply.status, reply.body, reply.content_type)

    await Server(answer).start(int(port))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        await funding.look()
        await funding.send_refunds()
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
