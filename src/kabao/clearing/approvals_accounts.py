"""What of clearing takes two people: payloads of the requests, and who executes them."""

from __future__ import annotations

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge
from kabao.clearing.model.accounts import ACCOUNT
from kabao.clearing.ops.accounts import Accounts

ACCOUNT_ACTION = "settlement_account"
"""What these approvals are called in policy `approval.actions`."""


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An account that waits for the second person, who compares whose it is with who is paid.

    Of its number the last digits.
    """

    account: str
    company: str
    store: str | None
    bank: str
    last_digits: str
    name: str
    """The account's holder, as the bank knows it."""
    company_name: str
    store_name: str | None


class AccountSet(msgspec.Struct, frozen=True):
    """The account that is paid to from now on."""

    account: str


def account_executors(accounts: Accounts) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload of every request about settlement accounts."""

    async def agree(conn: Conn, asked: NewAccount, approval: Approval) -> AccountSet:
        del approval
        await accounts.agree(conn, from_edge(ACCOUNT, asked.account))
        return AccountSet(asked.account)

    return [(ACCOUNT_ACTION, agree, NewAccount)]
