"""Statements: derived each time from what was settled, so that they can be made again."""

from __future__ import annotations

from kabao.base.db import Conn
from kabao.clearing.model.settlement import Settlement
from kabao.clearing.model.statements import Statement, sources_besides, statement
from kabao.clearing.ops.accounts import Accounts
from kabao.clearing.papers import Names
from kabao.clearing.sql import runs as runs_sql
from kabao.clearing.sql import windows as windows_sql
from kabao.org.ops import Org


class Statements:
    """What stores are told of what they are owed."""

    def __init__(self, org: Org, accounts: Accounts) -> None:
        self._org, self._accounts = org, accounts

    async def of(self, conn: Conn, one: Settlement) -> Statement:
        """The statement of a settlement, whatever became of it."""
        run = None if one.run is None else await runs_sql.run(conn, one.run)
        if run is None:
            return statement(one)
        inputs, others = run.read_inputs(), []
        for source in sources_besides(one, inputs):
            other = await windows_sql.settlement(conn, source)
            if other is not None:  # else it is something carried over
                others.append(other)
        return statement(one, inputs, run.read_result(), others)

    async def names(self, conn: Conn, one: Statement) -> Names:
        """Who is who, as they are called today."""
        store, company = self._org.store(one.store), self._org.company(one.company)
        issuer = self._org.company(one.issuer)
        account = (await self._accounts.payable(conn, [one.store], one.currency)).get(one.store)
        return Names(
            issuer="" if issuer is None else issuer.name,
            store="" if store is None else store.name,
            company="" if company is None else company.name,
            account=None if account is None else f"****{account.last_digits}",
        )
