"""What reports are made of: every fen of a day stands in every table once."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.ledger.model import Account, Purpose
from kabao.ledger.sums import Entry, Hour, Owed, Volume
from kabao.reports.model.figures import Figures, Line, books, cashiers, line_of, rolls
from kabao.reports.model.vouchers import CODES, vouchers

DAY = date(2026, 11, 22)
ISSUERS = ["a" * 32, "b" * 32]
STORES = ["1" * 32, "2" * 32, None]
HOUSE = [account for account in Account if not account.of_root]

volumes = st.lists(
    st.builds(
        Volume,
        issuer=st.sampled_from(ISSUERS),
        currency=st.just("CNY"),
        account=st.sampled_from([int(a) for a in HOUSE]),
        purpose=st.sampled_from([int(p) for p in Purpose]),
        store=st.sampled_from(STORES),
        cashier=st.sampled_from(["c" * 32, None]),
        channel=st.sampled_from(["http", "pos", "cash", None]),
        operations=st.integers(1, 9),
        value_fen=st.integers(-(10**6), 10**6),
    ),
    max_size=12,
)
openings = st.dictionaries(st.sampled_from(ISSUERS), st.integers(-(10**6), 10**6)).map(
    lambda fen: [Owed(issuer, "CNY", fen[issuer]) for issuer in sorted(fen)]
)


@given(openings, volumes)
def test_opening_and_lines_are_the_closing(opened: list[Owed], moved: list[Volume]) -> None:
    made = rolls(opened, moved)
    assert all(r.opening_fen + sum(r.lines.values()) == r.closing_fen for r in made)
    whole = sum(o.fen for o in opened) + sum(v.value_fen for v in moved)
    assert sum(r.closing_fen for r in made) == whole
    again = rolls([Owed(r.issuer, r.currency, r.closing_fen) for r in made], [])
    assert [r.opening_fen for r in again] == [r.closing_fen for r in made]


@given(openings, volumes)
def test_issuers_together_are_all(opened: list[Owed], moved: list[Volume]) -> None:
    figures = Figures(DAY, opened, moved, [Hour(ISSUERS[0], 9, 2, 300)])
    whole, each = books(figures), [books(figures, issuer) for issuer in ISSUERS]
    for part in ("stores", "doors"):
        for field in ("payments", "spent_fen", "given_back_fen"):
            sums = [sum(getattr(line, field) for line in getattr(b, part)) for b in (whole, *each)]
            assert sums[0] == sums[1] + sums[2]
    assert sum(d.spent_fen for d in whole.doors) == sum(s.spent_fen for s in whole.stores)
    redeemed = sum(r.lines.get(Line.REDEEMED, 0) for r in whole.roll)
    assert sum(s.spent_fen for s in whole.stores) == -redeemed
    loaded = sum(r.lines.get(Line.LOADED, 0) for r in whole.roll)
    assert sum(c.loaded_fen - c.back_fen for c in whole.channels) == loaded


@given(openings, volumes)
def test_cashiers_of_a_store_are_the_store(opened: list[Owed], moved: list[Volume]) -> None:
    figures = Figures(DAY, opened, moved, [])
    for store in books(figures).stores:
        if store.place is not None:
            lines = cashiers(figures, store.place)
            assert sum(line.spent_fen for line in lines) == store.spent_fen
            assert sum(line.loaded_fen for line in lines) == store.loaded_fen
            assert sum(line.loads for line in lines) == store.loads


def test_every_account_has_its_line_and_its_code() -> None:
    assert set(CODES) == set(Account)
    lines = {account: line_of(account, Purpose.LOAD) for account in HOUSE}
    assert lines[Account.CASH] is Line.LOADED
    assert line_of(Account.CASH, Purpose.CASH_OUT) is Line.PAID_OUT
    assert line_of(Account.REDEEMED, Purpose.PAYMENT) is Line.REDEEMED
    assert line_of(Account.REDEEMED, Purpose.VOID) is Line.GIVEN_BACK


entries = st.lists(
    st.tuples(st.sampled_from(list(Account)), st.sampled_from(list(Account)), st.integers(1, 10**6))
    .filter(lambda e: e[0] != e[1])
    .map(
        lambda e: Entry(
            issuer=ISSUERS[e[2] % 2],
            currency="CNY",
            debit=e[0],
            debit_owner=None if e[0].of_root else STORES[0],
            credit=e[1],
            credit_owner=None if e[1].of_root else STORES[1],
            purpose=list(Purpose)[e[2] % len(Purpose)],
            transfers=1,
            amount_fen=e[2],
        )
    ),
    max_size=12,
)


@given(entries)
def test_every_voucher_balances(made: list[Entry]) -> None:
    out = vouchers(DAY, made)
    for voucher in out:
        debit = sum(line.debit_fen for line in voucher.lines)
        assert debit == sum(line.credit_fen for line in voucher.lines) > 0
    total = sum(line.debit_fen for voucher in out for line in voucher.lines)
    assert total == sum(entry.amount_fen for entry in made)
    assert len({voucher.number for voucher in out}) == len(out)


@pytest.mark.parametrize("change", ["volumes", "openings", "hours"])
def test_another_fen_is_another_digest(change: str) -> None:
    volume = Volume(
        issuer=ISSUERS[0],
        currency="CNY",
        account=11,
        purpose=10,
        store=None,
        cashier=None,
        channel="http",
        operations=1,
        value_fen=-1,
    )
    one = Figures(DAY, [Owed(ISSUERS[0], "CNY", 5)], [volume], [Hour(ISSUERS[0], 1, 1, 1)])
    fewer = {name: getattr(one, name) for name in ("openings", "volumes", "hours")} | {change: []}
    assert one.digest() != Figures(DAY, **fewer).digest()
    assert one.digest() == Figures(DAY, one.openings, one.volumes, one.hours).digest()
