"""Packs bound together: who wins when, what binds whom, and what is refused."""

from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kabao.base.errors import KabaoError
from kabao.policy import names
from kabao.policy.book import Book, allows, bind
from kabao.policy.model import Bound
from kabao.policy.names import KINDS, Kind

from . import make

DAY = timedelta(days=1)
LIMIT = names.CARD_LIMIT_REGISTERED_FEN
ORDER = names.CARD_SPEND_ORDER
SHIPPED, AGAIN = make.book(), make.book()


def value(book: Book, jurisdiction: str, on: str, name: str = LIMIT) -> object:
    return book.resolve(jurisdiction, date.fromisoformat(on)).settled[name].value


def refused(*texts: str) -> str:
    with pytest.raises(KabaoError) as no:
        make.book(*texts)
    assert no.value.code.name == "bad_policy"
    return no.value.detail


def test_a_jurisdiction_wins_over_its_parent_while_it_holds() -> None:
    book = make.book(make.LAW + make.rule(more="until = 2027-12-31"))
    assert [value(book, "test", on) for on in ("2026-12-31", "2027-01-01", "2027-01-02")] == [
        500_000,
        400_000,
        400_000,
    ]
    assert [value(book, "test", on) for on in ("2027-12-30", "2027-12-31", "2028-01-01")] == [
        400_000,
        400_000,
        500_000,
    ]
    assert value(book, "national", "2027-06-01") == 500_000


def test_a_row_without_an_end_holds_until_the_next() -> None:
    book = make.book(
        make.LAW + make.rule(since="2028-01-01", value="300_000") + make.rule(since="2027-01-01")
    )
    assert [value(book, "test", on) for on in ("2027-12-31", "2028-01-01", "2030-01-01")] == [
        400_000,
        300_000,
        300_000,
    ]


def test_an_amendment_joins_the_layer_it_amends() -> None:
    book = make.book(make.DRAFT + make.rule(value="600_000"))
    assert [value(book, "beijing", on) for on in ("2026-12-31", "2027-01-01")] == [500_000, 600_000]
    row = book.resolve("beijing", date(2027, 1, 1)).settled[LIMIT].row
    assert (row.pack, row.where) == ("draft", "extra0.toml:10")
    assert "draft" not in book.chains


def test_the_house_may_change_its_own_defaults() -> None:
    house = """
[pack]
name = "ours"
title = "Our own"
kind = "house"
amends = "platform"

[[card.spend.order]]
value = "principal_first"
unit = "choice"
row = "CR-24"
from = 2027-01-01
note = "Ours."
"""
    book = make.book(house)
    assert value(book, "national", "2026-12-31", ORDER) == "bonus_first"
    assert value(book, "national", "2027-01-01", ORDER) == "principal_first"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (make.rule(), make.rule(value="1")),
        (make.rule(more="until = 2028-01-01"), make.rule(since="2028-01-01")),
        (make.rule(more="until = 2028-01-02"), make.rule(since="2028-01-01")),
    ],
)
def test_overlapping_rows_are_refused(first: str, second: str) -> None:
    told = refused(make.LAW + first + second)
    assert told.startswith("extra0.toml:")
    assert told.endswith(f"{LIMIT} overlaps with the row at extra0.toml:10.")


def test_rows_that_touch_are_not_overlapping() -> None:
    book = make.book(
        make.LAW + make.rule(more="until = 2027-12-31") + make.rule(since="2028-01-01", value="1")
    )
    assert value(book, "test", "2028-01-01") == 1


def test_an_amendment_may_not_overlap_either() -> None:
    told = refused(make.DRAFT + make.rule(since="2011-05-23"))
    assert "overlaps" in told


def test_a_law_may_not_loosen_what_is_beneath_it() -> None:
    assert refused(make.LAW + make.rule(value="500_001")) == (
        "extra0.toml:10: card.limit.registered_fen may not be 5,000.01 yuan; "
        "CR-12 (G25, national) asks for at most 5,000.00 yuan."
    )


def test_a_name_without_a_value_is_refused() -> None:
    packs = [pack for pack in make.shipped() if pack.name != "platform"]
    bare = make.read('[pack]\nname = "platform"\ntitle = "Bare"\nkind = "house"', "platform.toml")
    with pytest.raises(KabaoError, match=r"has no value in national on 2020-01-01\.$"):
        bind([bare, *packs])


def test_a_unit_is_the_same_in_every_pack() -> None:
    told = refused(make.LAW + make.rule(unit="usd_cents"))
    assert told.startswith("extra0.toml:10: card.limit.registered_fen is in usd_cents here and in")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (make.LAW.replace('"national"', '"nowhere"'), "there is no pack nowhere to inherit from."),
        (make.LAW.replace('"national"', '"test"'), "test inherits from itself."),
        (make.DRAFT.replace('"national"', '"nowhere"'), "there is no pack nowhere to amend."),
        (make.LAW.replace('"test"', '"beijing"'), "the pack beijing is also in beijing.toml."),
    ],
)
def test_packs_that_do_not_fit_together_are_refused(text: str, told: str) -> None:
    assert refused(text) == f"extra0.toml: {told}"


def test_an_unknown_jurisdiction_is_refused() -> None:
    with pytest.raises(KabaoError, match="beijing, national, shanghai") as no:
        SHIPPED.resolve("platform", make.TODAY)
    assert no.value.code.name == "unknown_jurisdiction"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (LIMIT, "5000"),
        (LIMIT, 1.5),
        (LIMIT, True),
        (LIMIT, -1),
        (LIMIT, None),
        (LIMIT, 2**53),
        (ORDER, "at_random"),
        (ORDER, ""),
        (ORDER, ["bonus_first"]),
        (names.PIN_WEAK, [1]),
        (names.PIN_WEAK, ["1", "1"]),
        (names.PIN_WEAK, "000000"),
        (names.PIN_WEAK, ["x"] * 201),
        (names.BUSINESS_DAY_CUTOFF, "24:00"),
        (names.ACCESS_TOTP_REQUIRED, 1),
        ("card.limit.colour", 1),
    ],
)
def test_an_override_of_no_such_name_or_kind_is_refused(name: str, wrong: object) -> None:
    with pytest.raises(KabaoError) as no:
        SHIPPED.resolve("national", make.TODAY, {name: wrong})
    assert (no.value.code.name, no.value.field) == ("bad_policy_override", name)


def test_an_override_within_one_bound_and_beyond_another_is_refused() -> None:
    """Shanghai leaves the country's limit alone, so the country's bound binds there."""
    book = make.book(make.LAW + make.rule(since="2020-01-01", more='bound = "max"'))
    assert book.resolve("test", make.TODAY, {LIMIT: 400_000}).settled[LIMIT].value == 400_000
    with pytest.raises(KabaoError, match=r"T1 art\. 1, test"):
        book.resolve("test", make.TODAY, {LIMIT: 400_001})
    unbound = make.book(make.LAW + make.rule(since="2020-01-01"))
    with pytest.raises(KabaoError, match="G25, national"):
        unbound.resolve("test", make.TODAY, {LIMIT: 500_001})


days = st.dates(date(2020, 1, 1), date(2040, 1, 1))
jurisdictions = st.sampled_from(sorted(SHIPPED.chains))


@given(jurisdictions, days)
def test_resolution_depends_on_nothing_but_its_arguments(jurisdiction: str, on: date) -> None:
    first = SHIPPED.resolve(jurisdiction, on)
    again = AGAIN.resolve(jurisdiction, on)
    assert dict(first.settled) == dict(again.settled)
    for day in (first.holds_from, first.holds_until):
        if day is not None and day > date.min:
            assert dict(SHIPPED.resolve(jurisdiction, day).settled) == dict(first.settled)
    if first.holds_until is not None:
        later = SHIPPED.resolve(jurisdiction, first.holds_until + DAY)
        assert dict(later.settled) != dict(first.settled)


@given(jurisdictions, days)
def test_what_holds_is_allowed_to_a_programme(jurisdiction: str, on: date) -> None:
    """Resolving with the resolved values as overrides changes no value."""
    held = SHIPPED.resolve(jurisdiction, on)
    values = {name: settled.value for name, settled in held.settled.items()}
    again = SHIPPED.resolve(jurisdiction, on, values)
    assert {name: settled.value for name, settled in again.settled.items()} == values


@given(
    jurisdictions,
    days,
    st.sampled_from(sorted(n for n, kind in KINDS.items() if kind is Kind.INT)),
    st.integers(0, 31) | st.integers(0, 2**53 - 1),
)
def test_an_override_passes_exactly_when_every_bound_lets_it(
    jurisdiction: str, on: date, name: str, wanted: int
) -> None:
    assume(not name.startswith("report.") or wanted <= 31)
    stack = SHIPPED.stack(jurisdiction, name, on)
    fits = all(
        row.bound is None
        or (row.bound is Bound.MAX and wanted <= int(str(row.limit)))
        or (row.bound is Bound.MIN and wanted >= int(str(row.limit)))
        or (row.bound is Bound.FIXED and wanted == row.limit)
        for row in stack
    )
    if fits:
        held = SHIPPED.resolve(jurisdiction, on, {name: wanted}).settled[name]
        assert (held.value, held.pack) == (wanted, "programme")
    else:
        with pytest.raises(KabaoError) as no:
            SHIPPED.resolve(jurisdiction, on, {name: wanted})
        assert no.value.code.name == "policy_loosened"
        assert no.value.rule in {row.row for row in stack}


@given(st.data())
def test_the_row_that_holds_is_the_latest_begun_and_not_ended(data: st.DataObject) -> None:
    """Against a plain search through random rows of one name."""
    starts = sorted(data.draw(st.sets(days, min_size=1, max_size=5)))
    rows, texts = [], ""
    for index, start in enumerate(starts):
        last = starts[index + 1] - DAY if index + 1 < len(starts) else date(2041, 1, 1)
        ends = data.draw(st.none() | st.dates(start, last))
        worth = 100_000 + index
        rows.append((start, ends, worth))
        texts += make.rule(
            since=start.isoformat(),
            value=str(worth),
            more=f"until = {ends.isoformat()}" if ends else "",
        )
    book = make.book(make.LAW + texts)
    for on in {
        day + step
        for start, ends, _ in rows
        for day in (start, ends or start)
        for step in (-DAY, 0 * DAY, DAY)
    }:
        begun = [row for row in rows if row[0] <= on]
        latest = begun[-1] if begun else None
        expected = 500_000 if latest is None or (latest[1] and on > latest[1]) else latest[2]
        assert book.resolve("test", on).settled[LIMIT].value == expected


def test_lists_compare_as_sets() -> None:
    weak = SHIPPED.stack("national", names.PIN_WEAK, make.TODAY)[0]
    assert isinstance(weak.value, tuple)
    assert allows(weak, (*reversed(weak.value), "204060"))
    assert not allows(weak, weak.value[:-1])
