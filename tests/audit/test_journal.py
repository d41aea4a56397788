"""The books against what clients were told: 0 lost, 0 twice, 0 invented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from kabao.audit.model import Entry
from tests.audit.books import Books, failing


@pytest.fixture
def told(books: Books) -> list[dict[str, Any]]:
    """What the clients of the traded books were told, from its own answers."""
    rows = books.rows(
        """
        select split_part(o.key, '/', 1), split_part(o.key, '/', 2), replace(o.id::text, '-', ''),
          coalesce(p.status, 'done'), coalesce(p.approved_fen, r.amount_fen, u.amount_fen, 0)
        from ledger.operation o left join payments.payment p on p.id = o.id
        left join payments.refund r on r.id = o.id left join topups.topup u on u.id = o.id
        where split_part(o.key, '/', 1) in ('pay', 'capture', 'void', 'refund', 'topup', 'reverse')
        """
    )
    return [
        {"verb": verb, "key": key, "id": f"x_{ident}", "status": status, "approved": fen}
        for verb, key, ident, status, fen in rows
    ]


def judge(books: Books, told: list[dict[str, Any]], folder: Path) -> dict[str, tuple[str, ...]]:
    file = folder / "journal.jsonl"
    file.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in told))
    return failing(books.audit(journal_file=file))


def paid(told: list[dict[str, Any]]) -> dict[str, Any]:
    return next(e for e in told if e["verb"] == "pay" and e["status"] == "captured")


def test_they_agree(books: Books, told: list[dict[str, Any]], tmp_path: Path) -> None:
    assert len(told) > 30
    assert not judge(books, told, tmp_path)


def test_repeated_and_unknown_answers_agree_too(
    books: Books, told: list[dict[str, Any]], tmp_path: Path
) -> None:
    again = [*told, *told]
    again += [entry | {"status": "unknown", "approved": 0} for entry in told]
    never = [{"key": f"never{n}", "status": "unknown", "amount": 5} for n in range(3)]
    refused = [{"key": f"no{n}", "verb": "refund", "status": "refused"} for n in range(3)]
    cards = [{"key": "a", "verb": "activate", "status": "done"}]
    assert not judge(books, [*again, *never, *refused, *cards], tmp_path)


def test_lost(books: Books, told: list[dict[str, Any]], tmp_path: Path) -> None:
    lost = {"key": "lost", "status": "captured", "amount": 5, "payment": "pay_" + "0" * 32}
    found = judge(books, [lost, *told], tmp_path)
    assert found == {"I-3": ("line 1, key pay/lost: acknowledged, and not in the books",)}


def test_another_amount(books: Books, told: list[dict[str, Any]], tmp_path: Path) -> None:
    entry = paid(told)
    entry["approved"] += 1
    found = judge(books, told, tmp_path)
    assert "acknowledged with" in found["I-3"][0] and len(found["I-3"]) == 1


def test_another_operation(books: Books, told: list[dict[str, Any]], tmp_path: Path) -> None:
    paid(told)["id"] = "pay_" + "1" * 32
    found = judge(books, told, tmp_path)
    assert "answered as another operation" in found["I-3"][0]


def test_two_answers(books: Books, told: list[dict[str, Any]], tmp_path: Path) -> None:
    found = judge(books, [*told, paid(told) | {"id": "pay_" + "1" * 32}], tmp_path)
    assert "answered in two ways" in found["I-3"][0]


def test_a_decline_that_paid(books: Books, told: list[dict[str, Any]], tmp_path: Path) -> None:
    entry = paid(told)
    entry |= {"status": "declined", "approved": 0}
    found = judge(books, told, tmp_path)
    assert "declined, and moved value" in found["I-3"][0]


def test_a_refusal_that_paid(books: Books, told: list[dict[str, Any]], tmp_path: Path) -> None:
    entry = paid(told)
    entry |= {"status": "refused", "approved": 0, "id": None}
    assert "refused, and moved value" in judge(books, told, tmp_path)["I-3"][0]


@pytest.mark.parametrize("verb", ["pay", "refund", "topup", "capture", "void"])
def test_invented(books: Books, told: list[dict[str, Any]], tmp_path: Path, verb: str) -> None:
    gone = next(entry for entry in told if entry["verb"] == verb)
    told.remove(gone)
    found = judge(books, told, tmp_path)
    assert list(found) == ["I-4"]
    assert f"key {verb}/{gone['key']}: nobody asked for it" in found["I-4"][0]


def test_the_plain_form(books: Books, tmp_path: Path) -> None:
    """Only payments, by key, status, amount and payment."""
    rows = books.rows(
        "select split_part(o.key, '/', 2), p.status, p.approved_fen, 'pay_' || p.id"
        " from payments.payment p join ledger.operation o on o.id = p.id"
    )
    plain = [
        {"key": k, "status": s, "amount": a, "payment": p.replace("-", "")} for k, s, a, p in rows
    ]
    assert "I-3" not in judge(books, plain, tmp_path)


def test_a_line_that_cannot_be_read(books: Books, tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    file.write_bytes(msgspec.json.encode(Entry("k", "captured")) + b"\n\n{\n")
    with pytest.raises(ValueError, match="line 3"):
        books.audit(journal_file=file)
