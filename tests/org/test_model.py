"""Acceptance, the forest of parents, credit codes: pure rules."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.errors import KabaoError
from kabao.org.model import (
    CREDIT_CODE_INVALID,
    MAX_DEPTH,
    PARENT_INVALID,
    BrandLink,
    Company,
    GroupGraph,
    IssuerType,
    Jurisdiction,
    Standing,
    allotted_merchant_no,
    check_credit_code,
    check_merchant_no,
    check_parent,
    check_store_code,
    is_credit_code,
)

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
DAY = date(2026, 11, 22)
SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def company(ident: str, parent: str | None = None) -> Company:
    return Company(
        id=ident,
        name=ident,
        issuer_type=IssuerType.OTHER,
        jurisdiction=Jurisdiction.NATIONAL,
        parent=parent,
        credit_code=None,
        state=Standing.OPEN,
        created_at=AT,
        revision=1,
    )


def link(issuer: str, member: str, from_date: date, until_date: date | None = None) -> BrandLink:
    return BrandLink("l", issuer, member, from_date, until_date, AT, 1)


GROUP = [
    company("head"),
    company("retail", "head"),
    company("online", "retail"),
    company("catering", "head"),
    company("franchisee"),
    company("franchisee_daughter", "franchisee"),
    company("stranger"),
]


@pytest.mark.parametrize(
    ("issuer", "acceptor", "accepted"),
    [
        ("head", "head", True),
        ("head", "online", True),
        ("online", "head", True),
        ("online", "catering", True),
        ("head", "franchisee", True),
        ("head", "franchisee_daughter", False),  # the link names one legal entity
        ("retail", "franchisee", False),  # the brand owner's cards, not its daughters'
        ("franchisee", "head", False),  # links have a direction
        ("head", "stranger", False),
        ("stranger", "head", False),
        ("stranger", "stranger", True),
        ("head", "unknown", False),
        ("unknown", "head", False),
        ("unknown", "unknown", False),
    ],
)
@pytest.mark.row("L-12")
def test_acceptance_stays_in_the_group_or_brand(issuer: str, acceptor: str, accepted: bool) -> None:
    graph = GroupGraph(GROUP, [link("head", "franchisee", DAY)])
    assert graph.accepts(issuer, acceptor, DAY) is accepted


@pytest.mark.parametrize(
    ("day", "accepted"),
    [
        (DAY - timedelta(days=1), False),
        (DAY, True),
        (DAY + timedelta(days=1), True),
        (DAY + timedelta(days=9), True),
        (DAY + timedelta(days=10), False),
        (DAY + timedelta(days=11), False),
    ],
)
def test_a_brand_link_holds_from_its_first_day_until_before_its_last(
    day: date, accepted: bool
) -> None:
    graph = GroupGraph(GROUP, [link("head", "stranger", DAY, DAY + timedelta(days=10))])
    assert graph.accepts("head", "stranger", day) is accepted


def test_a_link_that_ended_and_began_again_holds_in_both_times() -> None:
    again = DAY + timedelta(days=20)
    links = [
        link("head", "stranger", DAY, DAY + timedelta(days=10)),
        link("head", "stranger", again),
    ]
    graph = GroupGraph(GROUP, links)
    assert graph.accepts("head", "stranger", DAY)
    assert not graph.accepts("head", "stranger", again - timedelta(days=1))
    assert graph.accepts("head", "stranger", again)


DAYS = st.dates(date(2026, 1, 1), date(2026, 2, 1))
ENDS = DAYS | st.none()


@given(DAYS, ENDS, DAYS, ENDS)
def test_links_overlap_exactly_when_some_day_is_in_both(
    a_from: date, a_until: date | None, b_from: date, b_until: date | None
) -> None:
    a, b = link("i", "m", a_from, a_until), link("i", "m", b_from, b_until)
    if (a_until and a_until < a_from) or (b_until and b_until <= b_from):
        return
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(40)]
    shared = any(a.holds_on(day) and b.holds_on(day) for day in days)
    assert a.overlaps(b_from, b_until) is shared


def test_a_company_is_never_above_itself() -> None:
    parents = {"a": None, "b": "a", "c": "b", "d": None}
    check_parent("d", "c", parents)
    check_parent("a", None, parents)
    for parent in ("a", "b", "c"):
        with pytest.raises(KabaoError) as refused:
            check_parent("a", parent, parents)
        assert refused.value.code is PARENT_INVALID


@pytest.mark.parametrize(
    ("above", "below", "fits"), [(15, 1, True), (16, 1, False), (8, 8, True), (8, 9, False)]
)
def test_a_group_has_at_most_max_depth_levels(above: int, below: int, fits: bool) -> None:
    assert MAX_DEPTH == 16
    parents: dict[str, str | None] = {f"u{n}": f"u{n - 1}" if n else None for n in range(above)}
    parents |= {f"d{n}": f"d{n - 1}" if n else None for n in range(below)}
    if fits:
        check_parent("d0", f"u{above - 1}", parents)
    else:
        with pytest.raises(KabaoError):
            check_parent("d0", f"u{above - 1}", parents)


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=60))
def test_whatever_is_asked_parents_stay_a_forest(moves: list[tuple[int, int]]) -> None:
    parents: dict[str, str | None] = {str(n): None for n in range(20)}
    for child, parent in moves:
        try:
            check_parent(str(child), str(parent), parents)
        except KabaoError:
            continue
        parents[str(child)] = str(parent)
    graph = GroupGraph([company(ident, parent) for ident, parent in parents.items()], [])
    for ident, parent in parents.items():
        if parent is not None:
            assert graph.top(ident) == graph.top(parent)
            assert graph.accepts(ident, parent, DAY)


@pytest.mark.parametrize(
    "text",
    ["91350100M000100Y43", "911100007109250324", "91440300708461136T"],
)
def test_real_credit_codes_check(text: str) -> None:
    assert is_credit_code(text)
    check_credit_code(text)


@pytest.mark.parametrize(
    "text",
    [
        "91350100M000100Y44",  # check sign off by one
        "91350100M000100Y4",  # too short
        "91350100M000100Y433",  # too long
        "91350100I000100Y43",  # I is no sign
        "91350100m000100y43",  # lower case
        "",
        "９1350100M000100Y43",
    ],
)
def test_other_texts_are_no_credit_code(text: str) -> None:
    assert not is_credit_code(text)
    with pytest.raises(KabaoError) as refused:
        check_credit_code(text)
    assert refused.value.code is CREDIT_CODE_INVALID


@given(st.text(SIGNS, min_size=17, max_size=17), st.integers(0, 16), st.sampled_from(SIGNS))
def test_one_wrong_sign_is_always_found(body: str, place: int, other: str) -> None:
    code = next(body + sign for sign in SIGNS if is_credit_code(body + sign))
    changed = code[:place] + other + code[place + 1 :]
    assert is_credit_code(changed) is (changed == code)


@pytest.mark.parametrize("text", ["A" * 15, "898440353110001", allotted_merchant_no(1)])
def test_merchant_numbers(text: str) -> None:
    check_merchant_no(text)


@pytest.mark.parametrize("text", ["A" * 14, "A" * 16, "a" * 15, "A" * 15 + "\n", "A" * 14 + " "])
def test_bad_merchant_numbers(text: str) -> None:
    with pytest.raises(KabaoError):
        check_merchant_no(text)


@pytest.mark.parametrize("text", ["", "a" * 33, "a b", "店", "a\n"])
def test_bad_store_codes(text: str) -> None:
    with pytest.raises(KabaoError):
        check_store_code(text)
