"""Statements and answers of a bank made to hurt, or simply wrong (ATK-16)."""

from __future__ import annotations

import tracemalloc
from datetime import date
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kabao.adapters.bank import payout, statement, table
from kabao.adapters.bank.entries import Entry
from kabao.adapters.bank.xml import DEPTH_MAX, NotReadableError
from kabao_sandbox.bank import camt
from kabao_sandbox.bank import table as table_writes
from kabao_sandbox.bank.model import ACCOUNT, Booked
from kabao_sandbox.bank.pain import Asked, status
from kabao_sandbox.party import moment

DAY = date(2026, 11, 22)
AT_US = moment.us_of("2026-11-22 10:30:00", "%Y-%m-%d %H:%M:%S")
ENTRIES = [
    Booked("n1", True, 12_345, 37, AT_US, "张三", virtual="955", order="a" * 32, words="充值"),
    Booked("n2", False, 345, 0, AT_US, "张三", order="a" * 32, end_to_end="b" * 32),
]
CLEAN = camt.statement(ENTRIES, 100, DAY, 1)
NOTICE = camt.notification(ENTRIES, 1, DAY)
TABLE = table_writes.written(ENTRIES, 100, DAY)
STATUS = status(Asked("c" * 32, "a" * 32, 345, "n", "a"), "ACSC", "", AT_US)

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'
OPEN = b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">'
LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))


def stated(file: bytes) -> tuple[Entry, ...]:
    return tuple(statement.read(BytesIO(file), ACCOUNT, DAY))


def tabled(file: bytes) -> tuple[Entry, ...]:
    return tuple(table.read(BytesIO(file), ACCOUNT, DAY))


def with_dtd(dtd: bytes, use: bytes = b"") -> bytes:
    """The statement with a DTD, and something of it used where a name stands."""
    bent = CLEAN.replace(HEAD, HEAD + b"<!DOCTYPE Document [" + dtd + b"]>")
    return bent.replace("张三".encode(), use, 1) if use else bent


def instead(old: str, new: str, count: int = 1) -> bytes:
    bent = CLEAN.replace(old.encode(), new.encode(), count)
    assert bent != CLEAN, old
    return bent


HOSTILE = {
    "a file of ours": with_dtd(b'<!ENTITY x SYSTEM "file:///etc/passwd">', b"&x;"),
    "a file, unused": with_dtd(b'<!ENTITY x SYSTEM "file:///etc/passwd">'),
    "an address": with_dtd(b'<!ENTITY x SYSTEM "http://127.0.0.1:1/">', b"&x;"),
    "a public id": with_dtd(b'<!ENTITY x PUBLIC "p" "http://127.0.0.1:1/">', b"&x;"),
    "a parameter entity": with_dtd(b'<!ENTITY % x SYSTEM "http://127.0.0.1:1/"> %x;'),
    "a billion laughs": with_dtd(b'<!ENTITY l0 "ha">' + LAUGHS, b"&l9;"),
    "a quadratic bomb": with_dtd(b'<!ENTITY l0 "' + b"h" * 50_000 + b'">', b"&l0;" * 10_000),
    "an inner entity": with_dtd(b'<!ENTITY x "y">', b"&x;"),
    "an empty DTD": with_dtd(b""),
    "attributes by DTD": with_dtd(b'<!ATTLIST Amt Ccy CDATA "CNY">'),
    "an element by DTD": with_dtd(b"<!ELEMENT Document ANY>"),
    "a DTD elsewhere": CLEAN.replace(
        HEAD, HEAD + b'<!DOCTYPE Document SYSTEM "http://127.0.0.1/">'
    ),
    "an unknown entity": instead("张三", "&x;"),
    "UTF-16": CLEAN.decode().replace("UTF-8", "UTF-16").encode("utf-16"),
    "UTF-7": CLEAN.replace(b"UTF-8", b"UTF-7"),
    "GBK": CLEAN.decode().replace("UTF-8", "GBK").encode("gbk"),
    "an unknown encoding": CLEAN.replace(b"UTF-8", b"X-42"),
    "broken UTF-8": CLEAN.replace("张".encode(), b"\xe5\xbc", 1),
    "overlong UTF-8": CLEAN.replace("张".encode(), b"\xc0\xbc", 1),
    "a null byte": CLEAN.replace("张".encode(), b"\x00", 1),
    "a control character": CLEAN.replace("张".encode(), b"&#1;", 1),
    "deep nesting": instead("</Stmt>", "<A>" * 100_000 + "</A>" * 100_000 + "</Stmt>"),
    "a little too deep": instead("</Stmt>", "<A>" * DEPTH_MAX + "</A>" * DEPTH_MAX + "</Stmt>"),
    "cut in half": CLEAN[: len(CLEAN) // 2],
    "cut at the end": CLEAN[:-3],
    "a tail": CLEAN + b"<more/>",
    "twice": CLEAN + CLEAN,
    "nothing": b"",
    "a page": b"<html><body>502</body></html>",
    "no XML": b"PK\x03\x04 a zip",
    "JSON": b'{"Document": {}}',
    "no namespace": instead(' xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"', ""),
    "another namespace": instead("urn:iso:std", "urn:evil:std"),
    "another message": instead("camt.053.001.08", "camt.052.001.08"),
    "a payout": STATUS,
    "another account": instead(ACCOUNT, "1"),
    "no account": instead(f"<Acct><Id><Othr><Id>{ACCOUNT}", "<Bcct><Id><Othr><Id>").replace(
        b"</Acct>", b"</Bcct>", 1
    ),
    "two statements": instead(
        "</Stmt>", "</Stmt>" + CLEAN.decode().split("</GrpHdr>")[1].split("</BkTo")[0]
    ),
    "a page of several": instead("<LastPgInd>true", "<LastPgInd>false"),
    "no opening balance": instead("OPBD", "XXXX"),
    "no closing balance": instead("CLBD", "XXXX"),
    "another closing balance": instead(">121.00<", ">121.01<"),
    "an overdrawn balance": instead('">1.00</Amt><CdtDbtInd>CRDT', '">1.00</Amt><CdtDbtInd>DBIT'),
    "an entry is missing": CLEAN.replace(
        CLEAN[CLEAN.index(b"<Ntry>") : CLEAN.index(b"</Ntry>") + 7], b""
    ),
    "an entry of another day": instead("2026-11-22T10:30:00", "2026-11-23T10:30:00"),
    "another currency": instead('Ccy="CNY">123.45', 'Ccy="USD">123.45'),
    "a negative amount": instead(">123.45<", ">-123.45<"),
    "a power of ten": instead(">123.45<", ">12345e-2<"),
    "an infinite amount": instead(">123.45<", ">INF<"),
    "digits of another script": instead(">123.45<", ">１２３.45<"),
    "half a fen": instead(">123.45<", ">123.455<"),
    "an endless amount": instead(">123.45<", ">" + "9" * 5_000 + "<"),
    "a comma": instead(">123.45<", ">123,45<"),
    "two amounts": instead('<Amt Ccy="CNY">123.45</Amt>', '<Amt Ccy="CNY">123.45</Amt>' * 2),
    "no way of the money": instead(
        "<CdtDbtInd>DBIT</CdtDbtInd><Sts>", "<CdtDbtInd>?</CdtDbtInd><Sts>"
    ),
    "no moment": instead("<BookgDt>", "<B>").replace(b"</BookgDt>", b"</B>", 1),
    "no number": CLEAN.replace(b"n1<", b"<"),
    "parts that do not add up": instead(
        "</TxDtls>", '</TxDtls><TxDtls><Amt Ccy="CNY">0.01</Amt></TxDtls>'
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_statement_is_refused(name: str) -> None:
    with pytest.raises(NotReadableError):
        stated(HOSTILE[name])


def test_there_are_enough_of_them_and_the_clean_one_is_read() -> None:
    assert len(HOSTILE) >= 50
    found = stated(CLEAN)
    assert [(one.no, one.amount_fen) for one in found] == [("n1", 12_345), ("n2", 345)]
    assert statement.told(NOTICE, ACCOUNT) == found
    assert [one.no for one in tabled(TABLE)] == ["n1", "n2"]


def test_a_bomb_takes_no_memory() -> None:
    tracemalloc.start()
    for name in ("a billion laughs", "a quadratic bomb", "deep nesting"):
        with pytest.raises(NotReadableError):
            stated(HOSTILE[name])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 << 20


def test_a_long_statement_is_let_go_as_it_is_read() -> None:
    """A thousand entries are read in a few times the memory of what is kept of them."""
    many = [Booked(f"n{at}", True, 1, 0, AT_US, "张三", words="x" * 100) for at in range(1_000)]
    file = camt.statement(many, 0, DAY, 1)
    tracemalloc.start()
    assert len(stated(file)) == len(many)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * len(file)


@settings(max_examples=300)
@given(st.sampled_from([CLEAN, NOTICE, TABLE, STATUS]), st.integers(0, 10**9), st.integers(0, 255))
def test_no_changed_byte_breaks_the_reading(file: bytes, at: int, byte: int) -> None:
    bent = bytearray(file)
    bent[at % len(bent)] = byte
    for read in (
        lambda: stated(bytes(bent)),
        lambda: statement.told(bytes(bent), ACCOUNT),
        lambda: tabled(bytes(bent)),
        lambda: payout.read(bytes(bent)),
    ):
        try:
            read()
        except NotReadableError:
            continue


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading(file: bytes) -> None:
    for read in (
        lambda: stated(file),
        lambda: statement.told(file, ACCOUNT),
        lambda: tabled(file),
        lambda: payout.read(file),
    ):
        with pytest.raises(NotReadableError):
            read()


def test_answers_about_payouts_are_of_one_payout() -> None:
    assert payout.read(STATUS).no == "c" * 32
    one = STATUS[STATUS.index(b"<TxInfAndSts>") : STATUS.index(b"</TxInfAndSts>") + 14]
    for bent in (
        STATUS.replace(one, one * 2),
        STATUS.replace(b"<OrgnlEndToEndId>" + b"c" * 32, b"<OrgnlEndToEndId>" + b"d" * 32),
        STATUS.replace(b'Ccy="CNY"', b'Ccy="USD"'),
        STATUS.replace(b"<TxSts>ACSC</TxSts>", b""),
        CLEAN,
    ):
        with pytest.raises(NotReadableError):
            payout.read(bent)


def test_tables_that_are_wrong() -> None:
    text = TABLE.decode("utf-8-sig")
    for old, new in (
        ("121.00", "121.01"),
        (",2\r\n", ",3\r\n"),
        ("贷", "?"),
        ("借,", "借冲借,"),
        ("123.45", "-123.45"),
        ("123.45", "1e2"),
        ("金额", "余额"),
        ("2026-11-22 10:30:00", "2026-11-23 10:30:00"),
        ("n1,", ","),
        ("期初余额", "余额"),
        (ACCOUNT, "1"),
        ("账号", "帐号"),
        ("笔数", "条数"),
    ):
        bent = text.replace(old, new, 1)
        assert bent != text
        with pytest.raises(NotReadableError):
            tabled(bent.encode())
