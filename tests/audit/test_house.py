"""The journal between house accounts, in the hands of somebody who may do anything to it."""

from __future__ import annotations

import hashlib

import pytest

from kabao.audit.model import GENESIS
from tests.audit.books import Books, failing

FREE = "alter table ledger.house_transfer disable trigger all"


def _chain(books: Books) -> None:
    """Write every digest anew, as docs/LEDGER.md says."""
    previous = GENESIS
    for no, line in books.rows(
        "select no, concat_ws('|', no, replace(op::text, '-', ''), debit,"
        " replace(debit_owner::text, '-', ''), credit, replace(credit_owner::text, '-', ''),"
        " amount_fen, currency, purpose, replace(issuer::text, '-', ''), coalesce(channel, ''),"
        " coalesce(replace(related::text, '-', ''), ''), coalesce(for_date::text, ''),"
        " (extract(epoch from recorded_at) * 1000000)::bigint, business_date) || chr(10)"
        " from ledger.house_transfer order by no"
    ):
        previous = hashlib.sha256(previous + line.encode()).digest()
        books.run(
            f"update ledger.house_transfer set digest = '\\x{previous.hex()}' where no = {no}"
        )


TAMPERED = {
    "an amount": (
        "update ledger.house_transfer set amount_fen = amount_fen + 1 where no = 1",
        {"I-8": "house transfer 1: it does not give its digest"},
    ),
    "another owner": (
        "update ledger.house_transfer set credit_owner = op where no = 4",
        {"I-8": "house transfer 4: it does not give its digest"},
    ),
    "one in between gone": (
        "delete from ledger.house_transfer where no = 2",
        {"I-8": "house_transfer 3: follows number 1", "I-3": "another stretch of transfers"},
    ),
    "netting left open": (
        "update ledger.house_transfer set amount_fen = 399 where no = 3",
        {"I-1": "1 fen CNY left"},
    ),
    "a day that was closed": (
        "update ledger.house_transfer set business_date = '2026-11-22' where no = 4",
        {"I-9": "recorded after the day was closed"},
    ),
    "a barred operation": (
        "update ledger.operation set state = 1 where key = 'settle/2'",
        {"I-3": "a barred operation moved value"},
    ),
    "an account below the house": (
        "update ledger.house_transfer set debit = 31 where no = 1",
        {"I-1": "not in the chart"},
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_tampered(books: Books, what: str) -> None:
    statement, named = TAMPERED[what]
    books.run(FREE)
    books.do(statement)
    found = failing(books.audit())
    for line, words in named.items():
        assert any(words in each for each in found.get(line, ())), found


def test_the_last_of_an_open_day_cut_off_is_seen_by_an_anchor(books: Books) -> None:
    anchor = books.anchor()
    books.run(FREE)
    books.do(
        "delete from ledger.house_transfer where no = 4",
        "delete from ledger.operation where key = 'settle/2'",
    )
    assert books.audit().holds
    assert failing(books.audit(anchor)) == {"I-8": ("batch 0/4: was there, and is gone",)}


def test_a_forger_who_mends_everything_is_found_by_the_anchor_alone(books: Books) -> None:
    anchor = books.anchor()
    books.run(FREE)
    books.do("update ledger.house_transfer set amount_fen = 60 where no = 4")
    _chain(books)
    assert books.audit().holds
    assert any("0/4" in each for each in failing(books.audit(anchor))["I-8"])
