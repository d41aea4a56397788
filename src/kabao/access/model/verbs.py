"""Verbs, and the roles that are sets of them.

A verb is `resource:action`, resources as in the paths of the API. `read` and
`write` are split further only where two roles must differ on the two parts.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from kabao.base.errors import INVALID

VERBS: dict[str, str] = {
    # what is sold
    "programmes:read": "see programmes",
    "programmes:write": "add programmes and ask for their change",
    "cards:read": "see cards, their balances and activities",
    "cards:write": "issue, replace, transfer, merge, exchange and close cards; reset PINs",
    "cards:activate": "activate a card at a till",
    "cards:block": "freeze a card and report its loss",
    "cards:unblock": "undo a freeze or a loss report",
    "cards:find": "find a card by phone or identity number, seeing neither",
    "card-stock:read": "see card stock",
    "card-stock:write": "order, hand over and count card stock",
    "card-keys:read": "see card keys, never their secrets",
    "card-keys:write": "deliver, freeze and void card keys",
    "key-batches:read": "see batches of card keys",
    "key-batches:write": "ask for batches of card keys",
    "redemptions:read": "see redemptions",
    "redemptions:write": "redeem a card key",
    "bindings:read": "see bindings",
    "bindings:write": "bind a card to a holder",
    "customers:read": "see holders and buyers",
    "customers:write": "add and change holders and buyers",
    "customers:find": "find a person by phone or identity number, seeing neither",
    "customers:verify": "record that a person's identity was verified",
    "codes:write": "have a one-time code sent to a reserved phone, and check it",
    # money
    "payments:read": "see payments",
    "payments:write": "pay, hold, capture and void",
    "payments:refund": "refund a payment",
    "reversals:write": "reverse a payment whose outcome is not known",
    "balance-inquiries:write": "ask what a presented card is worth",
    "pay-codes:write": "make pay codes",
    "page-tokens:write": "make and spend tokens of payment pages",
    "topups:read": "see top-ups",
    "topups:write": "load a card",
    "topups:void": "void a top-up, as a supervisor",
    "topups:refund": "give a channel's top-up back to its payer",
    "topups:settle": "ask how the case of a top-up's recalled money ended",
    "channels:read": "see payment channels",
    "channels:write": "ask for payment channels and their accounts, pause and resume them",
    "collections:read": "see what is collected through payment channels",
    "collections:write": "book that a channel took money back",
    "bonus-rules:read": "see what top-ups are given on top",
    "bonus-rules:write": "ask for rules of what top-ups are given on top, and end them",
    "adjustments:write": "ask for a manual adjustment",
    "suspense-releases:write": "ask where a refund goes that fitted no card",
    "ledger:read": "see accounts, transfers and statements",
    "orders:read": "see orders",
    "orders:write": "place, pay and return orders",
    "invoices:read": "see invoices",
    "invoices:write": "issue and cancel invoices",
    "receipts:read": "see receipts and their proofs",
    "receipts:print": "print slips, and see their verification codes",
    # places
    "org:read": "see companies, stores and brand links",
    "org:write": "add, change and close companies, stores and brand links",
    "merchants:read": "see terminals, cashiers, shifts and fee plans",
    "merchants:write": "add, change and retire terminals, cashiers and fee plans",
    "terminal-keys:write": "enter one of the two components of a terminal's master key",
    "overrides:write": "have a supervisor allow something at a till",
    "shifts:write": "open and close shifts",
    "kiosks:read": "see kiosks, their visits and boxes",
    "kiosks:write": "be a kiosk: report what happens, and load what was inserted",
    "kiosks:credit": "load what a kiosk took and did not load; count its boxes",
    "kiosks:payout": "pay out what a kiosk took and did not load",
    # after the sale
    "settlements:read": "see settlements",
    "settlements:write": "run and release settlements",
    "deposits:read": "see cash on its way to the bank",
    "deposits:write": "hand over a bag of cash for the bank",
    "deposits:settle": "ask that what a bag was short or over be booked as that",
    "settlement-accounts:read": "see where companies and stores are paid, masked",
    "settlement-accounts:write": "ask that a company or a store be paid elsewhere",
    "reconciliations:read": "see reconciliations",
    "reconciliations:write": "hand in bills and settle differences",
    "disputes:read": "see disputes",
    "disputes:write": "open and answer disputes",
    "cases:read": "see cases",
    "cases:write": "take, note and resolve cases",
    "reports:read": "see and export reports",
    "events:read": "read events",
    "webhook-endpoints:read": "see webhook endpoints",
    "webhook-endpoints:write": "add and change webhook endpoints",
    "notice-templates:read": "see what holders are told, and whether they were",
    "notice-templates:write": "say what holders are told, and by which account",
    # rules and people
    "policy:read": "see which rules hold, and why",
    "policy:write": "ask for a change of limits",
    "switches:read": "see kill switches",
    "switches:write": "stop a business, and ask for its release",
    "approvals:read": "see what waits for a second person",
    "approvals:decide": "be the second person",
    "operators:read": "see operators",
    "operators:write": "invite, change and suspend operators",
    "api-keys:read": "see API keys, never their tokens",
    "api-keys:write": "issue and revoke API keys",
    "audit-log:read": "read the audit log",
    "sessions:own": "see who one is, log out, change one's own password",
}
"""Every verb there is, with what it permits."""


class Role(StrEnum):
    """A named set of verbs."""

    OPERATOR = "operator"
    APPROVER = "approver"
    MERCHANT = "merchant"
    AUDITOR = "auditor"
    CALL_CENTRE = "call_centre"
    CASHIER = "cashier"
    ADMIN = "admin"


EVERYBODY = frozenset({"sessions:own"})
"""What comes with every key and every session."""

_READS = frozenset(verb for verb in VERBS if verb.endswith(":read"))
_OF_PEOPLE = frozenset({"operators:read", "api-keys:read", "audit-log:read"})
_BUSINESS_READS = _READS - _OF_PEOPLE


def _both(*resources: str) -> frozenset[str]:
    """Reading and writing."""
    return frozenset(f"{r}:{action}" for r in resources for action in ("read", "write"))


_TILL = frozenset(
    {
        "overrides:write",
        "programmes:read",
        "org:read",
        "merchants:read",
        "shifts:write",
        "cards:activate",
        "payments:read",
        "payments:write",
        "reversals:write",
        "balance-inquiries:write",
        "topups:read",
        "topups:write",
        "redemptions:write",
        "receipts:read",
        "receipts:print",
    }
)

ROLES: dict[Role, frozenset[str]] = {
    # The issuer's back office: makes and asks, never agrees, never spends a card.
    Role.OPERATOR: _BUSINESS_READS
    | _both(
        "programmes",
        "bonus-rules",
        "card-stock",
        "card-keys",
        "key-batches",
        "bindings",
        "customers",
        "orders",
        "invoices",
        "org",
        "merchants",
        "channels",
        "collections",
        "settlements",
        "settlement-accounts",
        "deposits",
        "reconciliations",
        "disputes",
        "cases",
        "webhook-endpoints",
        "notice-templates",
        "policy",
        "switches",
    )
    | {
        "cards:write",
        "cards:activate",
        "cards:block",
        "cards:unblock",
        "cards:find",
        "customers:find",
        "customers:verify",
        "codes:write",
        "shifts:write",
        "terminal-keys:write",
        "payments:refund",
        "topups:write",
        "topups:void",
        "kiosks:credit",
        "kiosks:payout",
        "topups:refund",
        "topups:settle",
        "deposits:settle",
        "adjustments:write",
        "suspense-releases:write",
    },
    # The second person: sees what is needed to judge, and changes nothing else.
    Role.APPROVER: _BUSINESS_READS | {"approvals:decide"},
    # A merchant's own system: the till, its supervisors and its papers.
    Role.MERCHANT: _TILL
    | _both("disputes", "webhook-endpoints")
    | {
        "payments:refund",
        "topups:void",
        "kiosks:read",
        "kiosks:write",
        "pay-codes:write",
        "page-tokens:write",
        "redemptions:read",
        "settlements:read",
        "deposits:read",
        "deposits:write",
        "reconciliations:read",
        "invoices:read",
        "events:read",
    },
    # Sees everything but secrets, and changes nothing.
    Role.AUDITOR: _READS,
    # Helps a caller without seeing who it is; every look is logged.
    Role.CALL_CENTRE: _both("cases")
    | {
        "programmes:read",
        "org:read",
        "cards:find",
        "cards:block",
        "customers:find",
        "codes:write",
    },
    # A person at a till: no refunds, no voids of top-ups.
    Role.CASHIER: _TILL,
    # Keeps people and keys; no money and no say in approvals. A terminal's key takes two
    # persons, each with a part of it: an operator and an admin, for example.
    Role.ADMIN: _both("operators", "api-keys")
    | {"terminal-keys:write", "approvals:read", "org:read", "policy:read", "switches:read"},
}


def verbs_of(roles: Iterable[Role], verbs: Iterable[str] = ()) -> frozenset[str]:
    """All that these roles and verbs permit."""
    return EVERYBODY.union(verbs, *(ROLES[role] for role in roles))


def check_verbs(verbs: Iterable[str]) -> None:
    """Raises `invalid` for a verb there is not."""
    if not VERBS.keys() >= set(verbs):
        raise INVALID.error("There is no such verb.", field="verbs")
