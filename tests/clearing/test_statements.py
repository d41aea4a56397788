"""Statements: they tie whatever a run did, and every form says the same. Pure, but for the form."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pyiso20022.camt.camt_053_001_08 import camt_053_001_08 as camt053
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig

from kabao.base.sheets.pdf import pdf
from kabao.clearing.model.netting import Claim, RunInputs, joined, net
from kabao.clearing.model.settlement import Settlement, SettlementState
from kabao.clearing.model.statements import (
    Line,
    LineKind,
    Statement,
    sources_besides,
    statement,
)
from kabao.clearing.model.terms import Terms
from kabao.clearing.papers import Names
from kabao.clearing.papers.camt import camt
from kabao.clearing.papers.sheet import sheet
from kabao.clearing.papers.table import table
from kabao.policy.choices import FeeReturn, SettledCash

ORACLE = XmlParser(config=ParserConfig(fail_on_unknown_properties=True))
ISSUER, STORE, COMPANY = "1" * 32, "2" * 32, "3" * 32
NAMES = Names("百货集团", "=北店 <&>", "百货(北)公司", "****1234")
TERMS = Terms(
    workdays=1,
    minimum_fen=1_000,
    cash=SettledCash.NETTED,
    fees_on_refunds=FeeReturn.RETURNED,
    carry_negative=True,
)


def settlement(no: int = 1, **more: int) -> Settlement:
    figures = {
        "redeemed_fen": 10_000,
        "given_back_fen": 500,
        "fee_fen": 60,
        "fee_returned_fen": 3,
        "cash_fen": 700,
    } | more
    return Settlement(
        id=f"{no:032x}",
        window="e" * 32,
        day=date(2026, 11, 22),
        issuer=ISSUER,
        store=STORE,
        company=COMPANY,
        currency="CNY",
        transfers=12,
        state=SettlementState.DUE,
        run="f" * 32,
        due_on=date(2026, 11, 23),
        **figures,
    )


def claim(amount_fen: int, *sources: str) -> Claim:
    return Claim(ISSUER, STORE, COMPANY, "CNY", amount_fen, STORE, sources)


def told(one: Settlement, carried_fen: int, *others: Settlement) -> Statement:
    """As a run would settle it, with something carried over and other settlements."""
    claims = [claim(each.amount_fen, each.id) for each in (one, *others)]
    inputs = RunInputs("f" * 32, joined([*claims, claim(carried_fen, "c" * 32)]), {ISSUER: TERMS})
    assert set(sources_besides(one, inputs)) == {"c" * 32, *(other.id for other in others)}
    return statement(one, inputs, net(inputs), others)


FEN = st.integers(min_value=0, max_value=10**9)


@given(FEN, FEN, FEN, st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_opening_and_lines_make_the_closing_whatever_was_settled(
    redeemed: int, given_back: int, cash: int, carried: int, other: int
) -> None:
    one = settlement(redeemed_fen=redeemed, given_back_fen=given_back, cash_fen=cash)
    others = [settlement(2, redeemed_fen=max(other, 0), given_back_fen=max(-other, 0))]
    made = told(one, carried, *others)
    assert made.opening_fen == carried
    assert made.opening_fen + sum(line.amount_fen for line in made.lines) == made.closing_fen
    own = [line.amount_fen for line in made.lines if line.kind not in _OF_THE_RUN]
    assert sum(own) == one.amount_fen
    assert all(line.amount_fen for line in made.lines)


_OF_THE_RUN = {LineKind.OTHER_WINDOWS, LineKind.SETTLED}


@pytest.mark.parametrize(
    ("redeemed", "closing"),
    [(1_000, 0), (999, 999), (0, 0), (1, 1)],
)
def test_what_is_too_little_to_pay_is_left_for_the_next(redeemed: int, closing: int) -> None:
    none = dict.fromkeys(("given_back_fen", "fee_fen", "fee_returned_fen", "cash_fen"), 0)
    made = told(settlement(redeemed_fen=redeemed, **none), 0)
    assert made.closing_fen == closing


def test_a_store_that_owes_carries_it_over() -> None:
    made = told(settlement(redeemed_fen=0), 100)
    assert made.closing_fen == 100 - 500 - 57 - 700
    assert LineKind.SETTLED not in {line.kind for line in made.lines}


def test_before_a_run_all_of_it_is_still_owed() -> None:
    one = replace(settlement(), state=SettlementState.PROVISIONAL, run=None, due_on=None)
    made = statement(one)
    assert (made.opening_fen, made.closing_fen) == (0, one.amount_fen)


def test_every_form_says_the_same_and_again_the_same_bytes() -> None:
    made = told(settlement(), -250, settlement(2))
    assert made.lines[0] == Line(LineKind.REDEEMED, 10_000)
    for write in (table, camt):
        assert write(made, NAMES) == write(told(settlement(), -250, settlement(2)), NAMES)
    rows = list(csv.DictReader(io.StringIO(table(made, NAMES).decode("utf-8-sig"))))
    amounts = {row["line"]: int(row["amount"]) for row in rows}
    assert amounts.pop("opening") == -250 and amounts.pop("closing") == made.closing_fen
    assert amounts == {line.kind: line.amount_fen for line in made.lines}
    assert {row["store_name"] for row in rows} == {"'=北店 <&>"}  # no formula

    (stmt,) = ORACLE.from_bytes(camt(made, NAMES), camt053.Document).bk_to_cstmr_stmt.stmt
    signed = [_signed(entry) for entry in stmt.ntry]
    opening, closing = map(_signed, stmt.bal)
    assert (opening, closing) == (-250, made.closing_fen)
    assert opening + sum(signed) == closing
    assert [entry.bk_tx_cd.prtry.cd for entry in stmt.ntry] == [
        line.kind.upper() for line in made.lines
    ]
    assert stmt.acct.nm == "=北店 <&>" and stmt.acct.ownr.nm == "百货(北)公司"


def _signed(part: object) -> int:
    fen = int(part.amt.value * 100)  # type: ignore[attr-defined] # the oracle's
    return fen if part.cdt_dbt_ind.value == "CRDT" else -fen  # type: ignore[attr-defined] # same


def test_the_document_is_a_pdf_and_again_the_same_bytes() -> None:
    drawn = sheet(told(settlement(), 0), NAMES)
    first, second = pdf(drawn), pdf(drawn)
    assert first.startswith(b"%PDF-") and first == second
