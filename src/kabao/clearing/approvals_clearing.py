"""What of the night takes two people: rules, workdays, corrections of closed days."""

from __future__ import annotations

from datetime import date

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge, to_edge
from kabao.clearing.model.settlement import CARRY, RULE
from kabao.clearing.model.terms import Terms
from kabao.clearing.ops import Clearing

RULE_ACTION, WORKDAYS_ACTION = "settlement_rule", "workdays"
ADJUSTMENT_ACTION = "clearing_adjustment"
"""What these approvals are called in policy `approval.actions`."""


class NewRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version of settlement rules that waits for the second person."""

    company: str | None
    effective_from: date
    terms: Terms


class NewWorkdays(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days said to be worked or free, and years said to be complete."""

    days: dict[str, bool]
    years: tuple[int, ...]


class NewAdjustment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A correction of a closed day. Fen; below zero the store owes."""

    day: date
    issuer: str
    store: str
    currency: str
    amount_fen: int


class RuleMade(msgspec.Struct, frozen=True):
    """The version that an approved request became."""

    settlement_rule: str
    version: int


class WorkdaysSaid(msgspec.Struct, frozen=True):
    """How many days and years were said."""

    days: int
    years: int


class Adjusted(msgspec.Struct, frozen=True):
    """The carried item that the next run takes up."""

    carried_item: str


def clearing_executors(clearing: Clearing) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload of every request about the night."""

    async def add_rule(conn: Conn, asked: NewRule, approval: Approval) -> RuleMade:
        company = None if asked.company is None else from_edge("com", asked.company)
        made = await clearing.terms.add(
            conn, company, asked.effective_from, asked.terms, approval.reason
        )
        return RuleMade(to_edge(RULE, made.id), made.version)

    async def say(conn: Conn, asked: NewWorkdays, approval: Approval) -> WorkdaysSaid:
        days = {date.fromisoformat(day): works for day, works in asked.days.items()}
        await clearing.terms.say_workdays(conn, days, asked.years, approval.reason)
        return WorkdaysSaid(len(days), len(asked.years))

    async def adjust(conn: Conn, asked: NewAdjustment, approval: Approval) -> Adjusted:
        del approval
        issuer, store = from_edge("com", asked.issuer), from_edge("sto", asked.store)
        made = await clearing.adjust(
            conn, asked.day, issuer, store, asked.currency, asked.amount_fen
        )
        return Adjusted(to_edge(CARRY, made.id))

    return [
        (RULE_ACTION, add_rule, NewRule),
        (WORKDAYS_ACTION, say, NewWorkdays),
        (ADJUSTMENT_ACTION, adjust, NewAdjustment),
    ]
