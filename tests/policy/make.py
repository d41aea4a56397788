"""Builders for the policy's tests."""

import functools
from datetime import UTC, date, datetime
from importlib import resources

from kabao.base.clock import FixedClock
from kabao.policy.book import Book, Pack, bind
from kabao.policy.ops import Policy
from kabao.policy.reading import SHIPPED, read

TODAY = date(2026, 11, 22)
START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)

LAW = """
[pack]
name = "test"
title = "A law for tests"
kind = "law"
inherits = "national"

[pack.sources]
T1 = "Test law"
"""

DRAFT = LAW.replace('inherits = "national"', 'amends = "national"').replace('"test"', '"draft"')


@functools.cache
def shipped() -> tuple[Pack, ...]:
    folder = resources.files("kabao.policy") / "packs"
    return tuple(
        read(folder.joinpath(f"{n}.toml").read_text("utf-8"), f"{n}.toml") for n in SHIPPED
    )


def book(*texts: str) -> Book:
    """The shipped packs and these."""
    return bind([*shipped(), *(read(text, f"extra{i}.toml") for i, text in enumerate(texts))])


def policy(*texts: str) -> Policy:
    return Policy(book(*texts), FixedClock(START))


def rule(
    name: str = "card.limit.registered_fen",
    *,
    value: str = "400_000",
    unit: str = "fen",
    since: str = "2027-01-01",
    more: str = "",
) -> str:
    """One row of law."""
    return f"""[[{name}]]
value = {value}
unit = "{unit}"
row = "CR-12"
article = "T1 art. 1"
from = {since}
standing = "unconfirmed"
note = "For tests."
{more}
"""
