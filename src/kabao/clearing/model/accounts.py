"""Settlement accounts: where a company or a store is paid, agreed to by two persons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from kabao.base.errors import Kind, code
from kabao.base.naming import same_name
from kabao.clearing.model.batches import Payee
from kabao.vault.model import RewrapTarget

ACCOUNT = "sac"
"""Prefix at the edge."""

NAME_RULE = "CR-91"

ACCOUNT_NAME_DIFFERS = code(
    "account_name_differs",
    Kind.REFUSED,
    "The account's holder is neither the company nor the store that is to be paid by that name.",
)
ACCOUNT_OF_ANOTHER = code(
    "account_of_another", Kind.REFUSED, "The account is another company's already."
)
ACCOUNT_DECIDED = code(
    "account_decided", Kind.CONFLICT, "This settlement account waits for nobody any more."
)

SEALED_AT = ("clearing.account", "holder")
REWRAP_TARGETS = (RewrapTarget("clearing", "account", "id", "holder"),)
LAST_DIGITS = 4


class AccountState(StrEnum):
    """Whether money goes there."""

    PROPOSED = "proposed"  # waits for the second person
    ACTIVE = "active"
    REPLACED = "replaced"  # another took its place
    BROKEN = "broken"  # its bank sent money back: nothing goes there until it is mended


class SettlementAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account at a bank, never changed: another one takes its place."""

    id: str
    company: str
    store: str | None
    """None: the company itself is paid there, for all stores that have none of their own."""
    currency: str
    bank: str
    """Its number in the clearing system (CNAPS, 行号), 12 digits."""
    last_digits: str
    state: AccountState
    reason: str | None
    """Why it is broken, in the bank's code."""
    created_at: datetime

    @property
    def party(self) -> str:
        """Who is paid there."""
        return self.store or self.company


class Holder(Payee, frozen=True):
    """A payee with the names its party had when the account was asked for."""

    parties: tuple[str, ...] = ()
    """The company's name, and the store's if it is a store's account."""

    def is_of(self, parties: Sequence[str]) -> bool:
        """Whether the party is still called what two persons saw: one person can rename a
        store, and must not lead its money elsewhere by that.
        """
        return len(self.parties) == len(parties) and all(map(same_name, self.parties, parties))


def holds(payee: Payee, names: Iterable[str]) -> bool:
    """Whether an account is in one of these names (CR-91)."""
    return any(same_name(payee.name, name) for name in names)
