"""The examples of docs/operating/policy.md are read and do what they say."""

import re
from datetime import date
from pathlib import Path

import pytest

from kabao.base.errors import KabaoError
from kabao.policy import names
from kabao.policy.choices import Switch
from kabao.policy.model import SWITCH_ROWS

from . import make

PAGE = (Path(__file__).parents[2] / "docs" / "operating" / "policy.md").read_text("utf-8")
HOUSE, AMENDMENT, JURISDICTION = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_are_packs() -> None:
    policy = make.policy(HOUSE, AMENDMENT, JURISDICTION)
    shanghai = policy.rules(jurisdiction="shanghai", on=date(2027, 7, 1))
    assert shanghai.int(names.CLOSURE_NOTICE_DAYS) == 60
    assert shanghai.text(names.RISK_BURST_ACTION) == "review"
    guangdong = policy.rules(jurisdiction="guangdong", on=date(2027, 3, 1))
    assert guangdong.int(names.CARD_RETURN_WINDOW_DAYS) == 15


def test_the_refusal_reads_as_shown() -> None:
    with pytest.raises(KabaoError) as no:
        make.policy().rules(
            jurisdiction="national",
            on=make.TODAY,
            overrides={names.CARD_LIMIT_REGISTERED_FEN: 600_000},
        )
    assert no.value.detail in PAGE.replace("\n", " ")


def test_the_what_if_reads_as_shown() -> None:
    found = make.policy().compare(
        make.policy(AMENDMENT), jurisdiction="shanghai", on=date(2027, 7, 1)
    )
    assert [(each.name, each.before, each.after) for each in found] == [
        ("closure.notice_days", "30 days", "60 days")
    ]


def test_a_misspelt_rule_reads_as_shown() -> None:
    with pytest.raises(KabaoError) as no:
        make.policy(HOUSE.replace("burst.action", "burst.acton"))
    assert no.value.detail.partition(": ")[2].rstrip(".") in PAGE


def test_every_switch_and_its_row_are_told() -> None:
    for switch in Switch:
        (line,) = [
            line for line in PAGE.splitlines() if f"| `{switch}" in line or f", `{switch}" in line
        ]
        assert line.endswith(f"| {SWITCH_ROWS[switch]} |")
