"""Every mistake in a pack is one line that names file, line and rule."""

from pathlib import Path

import pytest

from kabao.base.errors import KabaoError
from kabao.policy.reading import load, read

from . import make

GOOD = make.rule()

MISTAKES = {
    "not TOML": ("value = = 1", "(at line 10, column 9)"),
    "unknown rule": (
        make.rule("card.limit.registerd_fen"),
        ":10: card.limit.registerd_fen: there is no such rule; is card.limit.registered_fen meant?",
    ),
    "unknown key": (
        make.rule(more="colour = 1"),
        ":18: card.limit.registered_fen: there is no field `colour`.",
    ),
    "wrong type": (
        make.rule(value='"much"'),
        ":11: card.limit.registered_fen: a whole number of fen is wanted.",
    ),
    "float": (make.rule(value="1.5"), ":11: card.limit.registered_fen: Expected "),
    "flag for a number": (make.rule(value="true"), ":11: card.limit.registered_fen: a whole"),
    "negative": (make.rule(value="-1"), ":11: card.limit.registered_fen: -1 fen is out of range."),
    "too large": (make.rule(value=str(2**53)), ":11: card.limit.registered_fen: 9007199254740992"),
    "unknown unit": (make.rule(unit="pounds"), ":12: card.limit.registered_fen: Invalid enum"),
    "unit of another kind": (
        make.rule(unit="flag"),
        ":12: card.limit.registered_fen: flag is no unit for a rule of kind int.",
    ),
    "no row id": (
        GOOD.replace('row = "CR-12"\n', ""),
        ":10: card.limit.registered_fen: `row` is missing.",
    ),
    "no such form of row id": (GOOD.replace("CR-12", "Rule 12"), ":13: card.limit.registered_fen"),
    "no article": (
        GOOD.replace('article = "T1 art. 1"\n', ""),
        ":10: card.limit.registered_fen: a row of law needs article.",
    ),
    "no day, nobody read it": (
        GOOD.replace("from = 2027-01-01\n", "").replace('standing = "unconfirmed"\n', ""),
        ":10: card.limit.registered_fen: a row of law needs from and standing.",
    ),
    "law on the house's word": (
        GOOD.replace('"unconfirmed"', '"house"'),
        ":16: card.limit.registered_fen: a row of law cannot stand on the house's word.",
    ),
    "unknown source": (
        GOOD.replace("T1 art", "T2 art"),
        ":14: card.limit.registered_fen: the article begins with none of [pack.sources].",
    ),
    "moment for a day": (make.rule(since="2027-01-01T00:00:00Z"), ":15: card.limit.registered_fen"),
    "ends before it begins": (
        make.rule(more="until = 2026-12-31"),
        ":18: card.limit.registered_fen: until lies before from.",
    ),
    "unknown bound": (make.rule(more='bound = "about"'), ":18: card.limit.registered_fen: Invalid"),
    "limit without bound": (
        make.rule(more="limit = 5"),
        ":18: card.limit.registered_fen: a limit needs a bound of min or max.",
    ),
    "value beyond its limit": (
        make.rule(more='bound = "max"\nlimit = 399_999'),
        ":19: card.limit.registered_fen: the value is beyond its own limit.",
    ),
    "bound on a text": (
        make.rule("card.spend.order", value='"pro_rata"', unit="choice", more='bound = "max"'),
        ":18: card.spend.order: a text can only be fixed.",
    ),
    "no such choice": (
        make.rule("card.spend.order", value='"at_random"', unit="choice"),
        ":11: card.spend.order: one of bonus_first, principal_first, pro_rata is wanted.",
    ),
    "no time of day": (
        make.rule("clearing.netting_at", value='"24:00"', unit="clock"),
        ":11: clearing.netting_at: a time of day as HH:MM is wanted.",
    ),
    "item twice": (
        make.rule("pin.weak", value='["000000", "000000"]', unit="list"),
        ":11: pin.weak: an item stands there twice.",
    ),
    "value without a row": ("[card.limit]\nregistered_fen = 5", ":11: card.limit.registered_fen"),
    "value outside any table": (
        "[odd]\nx = 1",
        ":11: odd.x is no rule: rules are written [[odd.x]].",
    ),
    "no day of a month": (
        make.rule("report.outflow_day_of_month", value="32", unit="day_of_month"),
        ":11: report.outflow_day_of_month: 32 day_of_month is out of range.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_row(mistake: str) -> None:
    text, told = MISTAKES[mistake]
    with pytest.raises(KabaoError) as no:
        read(make.LAW + text, "my.toml")
    assert no.value.code.name == "bad_policy"
    assert no.value.detail.startswith("my.toml:")
    assert told in no.value.detail
    assert "\n" not in no.value.detail


HEADS = {
    "no head": ("", "my.toml: the table [pack] is missing."),
    "no name": ('[pack]\ntitle = "T"\nkind = "law"', "my.toml:1: pack: `name` is missing"),
    "unknown key": (make.LAW + 'colour = "red"', "my.toml:"),
    "unknown kind": (make.LAW.replace('"law"', '"rumour"'), "my.toml:5: pack: Invalid enum value"),
    "two parents": (
        make.LAW.replace("inherits", 'amends = "national"\ninherits'),
        "my.toml:2: pack: a pack of law says either what it inherits from or what it amends.",
    ),
    "house with a parent": (
        make.LAW.replace('"law"', '"house"'),
        "my.toml:6: pack: a house pack inherits from nothing.",
    ),
}


@pytest.mark.parametrize("mistake", ["no head", "no name", "unknown kind", "two parents"])
def test_a_mistake_in_the_head(mistake: str) -> None:
    text, told = HEADS[mistake]
    with pytest.raises(KabaoError) as no:
        read(text, "my.toml")
    assert no.value.detail.startswith(told)


def test_a_house_pack_has_no_parent() -> None:
    text, told = HEADS["house with a parent"]
    with pytest.raises(KabaoError) as no:
        read(text, "my.toml")
    assert no.value.detail == told


def test_the_line_of_the_second_row_of_a_name_is_found() -> None:
    text = make.LAW + make.rule() + make.rule(since="2028-01-01", unit="pounds")
    line = text.splitlines().index('unit = "pounds"') + 1
    with pytest.raises(KabaoError, match=f"^my.toml:{line}: "):
        read(text, "my.toml")


def test_a_folder_and_a_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(make.LAW + make.rule(), "utf-8")
    (tmp_path / "readme.txt").write_text("not a pack", "utf-8")
    single = tmp_path / "deeper" / "two.toml"
    single.parent.mkdir()
    single.write_text(make.DRAFT + make.rule(), "utf-8")
    assert {"test", "draft"} <= set(load([tmp_path, single]).packs)


@pytest.mark.parametrize("content", [b"\xff\xfe", None, b"#" * 1_000_001])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KabaoError) as no:
        load([path])
    assert no.value.code.name == "bad_policy"
    assert str(path) in no.value.detail
