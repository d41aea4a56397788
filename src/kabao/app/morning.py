"""The morning after a night: what is paid out, told to stores, and brought to the bank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kabao.app.channels import PayingBanks
from kabao.clearing.ops import Deposits, Paying, Payouts, Statements

if TYPE_CHECKING:
    from kabao.app.composition import Kabao


class Morning:
    """The part of clearing that deals with banks and stores, wired."""

    def __init__(self, kabao: Kabao) -> None:
        accounts, ids = kabao.settlement_accounts, kabao.ids
        clock, days = kabao.clock, kabao.days
        self.statements = Statements(kabao.org, accounts)
        self.payouts = Payouts(kabao.ledger, accounts, ids, clock, days)
        self.paying = Paying(
            kabao.db,
            kabao.ledger,
            accounts,
            kabao.cases,
            kabao.policy,
            PayingBanks(kabao.funding),
            clock,
            days,
        )
        self.deposits = Deposits(
            kabao.db,
            kabao.ledger,
            kabao.merchants,
            kabao.org,
            kabao.clearing.terms,
            kabao.cases,
            kabao.policy,
            ids,
            clock,
            days,
        )
        kabao.funding.ask_also(self.deposits)
