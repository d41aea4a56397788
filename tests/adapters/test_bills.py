"""Bills as streams: every kind is read as it was written, or refused whole with line and code."""

from __future__ import annotations

import csv
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from kabao.adapters.legacy.mapping import read_mapping
from kabao.base.errors import KabaoError
from kabao.reconciliation.model.lines import (
    Expected,
    Line,
    LineKind,
    SpoiltBillError,
)
from kabao_sandbox.bulk.command import write
from kabao_sandbox.bulk.legacy import MAPPING

from .readers import READERS

DAY = date(2026, 11, 22)
ROWS = 200
ZIPPED = {"alipay", "unionpay"}
NAMELESS = {"legacy"}
"""Whose files name no merchant."""


def lines(kind: str, file: bytes, *, subject: str | None = None, day: date = DAY) -> list[Line]:
    reads, ours = READERS[kind]
    return list(reads(BytesIO(file), Expected(ours if subject is None else subject, day)))


def refused(kind: str, file: bytes, **expected: object) -> tuple[str, int | None]:
    with pytest.raises(SpoiltBillError) as told:
        lines(kind, file, **expected)  # type: ignore[arg-type] # of the test's own
    assert told.value.code.name.startswith("bill_")
    return told.value.code.name, told.value.line


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bills")
    for kind in READERS:
        write(kind, folder, ROWS, 0, DAY, 5)
    return folder


def file_of(files: Path, kind: str) -> bytes:
    (path,) = (one for one in files.glob(f"{kind}.*") if one.suffix != ".toml")
    return path.read_bytes()


def repacked(kind: str, file: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The file with its table changed, inside of its archive where it has one."""
    if kind not in ZIPPED:
        return change(file)
    out = BytesIO()
    with (
        zipfile.ZipFile(BytesIO(file), metadata_encoding="gbk") as archive,
        zipfile.ZipFile(out, "w") as made,
    ):
        for one in archive.infolist():
            text = archive.read(one)
            made.writestr(one.filename, change(text) if len(text) > 1_000 else text)
    return out.getvalue()


@pytest.mark.parametrize("kind", READERS)
def test_a_bill_says_what_was_written(kind: str, files: Path) -> None:
    found = lines(kind, file_of(files, kind))
    with (files / f"{kind}-books.csv").open(newline="") as file:
        known = list(csv.DictReader(file))
    assert len(found) == len(known) == ROWS
    numbers = [one.source_no for one in found]
    assert numbers == sorted(set(numbers))
    for line, ours in zip(found, known, strict=True):
        assert line.kind is (LineKind.REFUND if ours["refund_no"] else LineKind.PAY)
        if kind != "acquirer":  # its file knows slips alone
            assert line.our_sub_no == (ours["refund_no"] or None)
            assert line.our_no in {ours["no"], None}
        assert line.their_no == ours["number"]
        assert line.amount_fen == int(ours["amount_fen"])
        assert line.fee_mfen == int(ours["fee_mfen"])
        assert line.at_us == int(ours["at_us"]) // 1_000_000 * 1_000_000
        assert (line.currency, line.day, line.status) == ("CNY", DAY, "done")


@pytest.mark.parametrize("kind", READERS)
def test_a_bill_of_another_day_is_refused_whole(kind: str, files: Path) -> None:
    for day in (DAY - timedelta(days=1), DAY + timedelta(days=1)):
        assert refused(kind, file_of(files, kind), day=day)[0] == "bill_wrong_day"


@pytest.mark.parametrize("kind", sorted(READERS.keys() - NAMELESS))
def test_a_bill_of_another_merchant_is_refused_whole(kind: str, files: Path) -> None:
    assert refused(kind, file_of(files, kind), subject="9" * 15)[0] == "bill_wrong_merchant"


@pytest.mark.parametrize("kind", READERS)
def test_half_a_bill_is_refused_wherever_it_is_cut(kind: str, files: Path) -> None:
    whole = file_of(files, kind)
    for part in range(1, 20):
        cut = whole[: len(whole) * part // 20]
        assert refused(kind, cut)[0] in {"bill_cut_short", "bill_unreadable"}, part


@pytest.mark.parametrize("kind", READERS)
def test_a_table_that_ends_after_any_line_is_refused(kind: str, files: Path) -> None:
    if kind in {"unionpay", "camt"}:
        return  # the one has no totals, the other is one line
    for kept in (1, 2, 7, ROWS // 2, ROWS):
        cut = repacked(
            kind, file_of(files, kind), lambda text, n=kept: b"\n".join(text.split(b"\n")[:n])
        )
        assert refused(kind, cut)[0] in {
            "bill_cut_short",
            "bill_unreadable",
            "bill_header_changed",
            "bill_wrong_total",
        }, kept


HEADS = {
    "alipay": ("gbk", "订单金额（元）", 5),
    "wechat": ("utf-8", "应结订单金额", 1),
    "gateway": ("utf-8", "银行流水号", 2),
    "acquirer": ("gbk", "参考号", 1),
    "table": ("utf-8", "流水号", 2),
    "legacy": ("gbk", "类别", 1),
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_changed_head_is_told_with_its_line(kind: str, files: Path) -> None:
    encoding, name, line = HEADS[kind]
    bent = repacked(
        kind,
        file_of(files, kind),
        lambda text: text.replace(name.encode(encoding), "别的".encode(encoding), 1),
    )
    assert refused(kind, bent) == ("bill_header_changed", line)


def test_columns_may_stand_in_another_order(files: Path) -> None:
    rows = list(csv.reader(file_of(files, "legacy").decode("gbk").splitlines()))
    turned = StringIO()
    csv.writer(turned).writerows([*(reversed(row) for row in rows[:-1]), rows[-1]])
    straight = lines("legacy", file_of(files, "legacy"))
    assert lines("legacy", turned.getvalue().encode("gbk")) == straight


TOTALS = {
    "alipay": ("gbk", "#交易合计：", "#交易合计：1"),
    "wechat": ("utf-8", f"`{ROWS},`", f"`{ROWS + 1},`"),
    "gateway": ("utf-8", f"|{ROWS}|", f"|{ROWS - 1}|"),
    "acquirer": ("gbk", f",{ROWS},", f",{ROWS + 1},"),
    "camt": ("utf-8", "10000000.00", "10000000.01"),
    "table": ("utf-8", "10000000.00", "10000000.01"),
    "legacy": ("gbk", f"合计,{ROWS}", f"合计,{ROWS + 1}"),
}


@pytest.mark.parametrize("kind", TOTALS)
def test_a_wrong_total_is_refused(kind: str, files: Path) -> None:
    encoding, old, new = TOTALS[kind]
    bent = repacked(
        kind,
        file_of(files, kind),
        lambda text: text.replace(old.encode(encoding), new.encode(encoding), 1),
    )
    assert bent != file_of(files, kind)
    assert refused(kind, bent)[0] == "bill_wrong_total"


@pytest.mark.parametrize("kind", READERS)
def test_a_fen_more_in_one_line_is_found_by_the_total(kind: str, files: Path) -> None:
    if kind in {"unionpay", "legacy"}:  # have no sums
        return
    line = lines(kind, file_of(files, kind))[3]
    yuan, more = (
        f"{fen // 100}.{fen % 100:02d}".encode() for fen in (line.amount_fen, line.amount_fen + 1)
    )

    def bent(text: bytes) -> bytes:
        if kind == "camt":
            return text.replace(b'"CNY">%b<' % yuan, b'"CNY">%b<' % more)
        mine = line.their_no[-12:].encode()
        return b"\n".join(
            one.replace(yuan, more) if mine in one else one for one in text.split(b"\n")
        )

    told = refused(kind, repacked(kind, file_of(files, kind), bent))
    assert told[0] == "bill_wrong_total"


@pytest.mark.parametrize("kind", READERS)
def test_junk_is_told_with_its_line(kind: str, files: Path) -> None:
    def junk(text: bytes) -> bytes:
        rows = text.split(b"\n")
        if kind == "camt":
            return text.replace("张".encode(), b"\xff\xfe\xfd", 1)
        # In the middle of a value, where every width stays what it was.
        rows[19] = rows[19][:50] + b"\xff\xff" + rows[19][52:]
        return b"\n".join(rows)

    told = refused(kind, repacked(kind, file_of(files, kind), junk))
    assert told == ("bill_unreadable", None if kind == "camt" else 20)


def test_a_bill_in_another_currency_is_refused_and_a_line_of_it_is_not(files: Path) -> None:
    wechats = file_of(files, "wechat")
    one = wechats.replace(b"`CNY", b"`HKD", 1)
    assert [line.currency for line in lines("wechat", one)].count("HKD") == 1
    assert refused("wechat", wechats.replace(b"`CNY", b"`HKD"))[0] == "bill_wrong_currency"
    camts = file_of(files, "camt").replace(b'Ccy="CNY"', b'Ccy="USD"')
    assert refused("camt", camts)[0] == "bill_wrong_currency"


def test_a_refund_that_is_not_done_says_so(files: Path) -> None:
    bent = file_of(files, "wechat").replace(b"`ORIGINAL,`SUCCESS", b"`ORIGINAL,`PROCESSING", 1)
    assert [line.status for line in lines("wechat", bent)].count("processing") == 1


@pytest.mark.parametrize("kind", READERS)
def test_nothing_is_no_bill(kind: str) -> None:
    for file in (b"", b"\n", b"PK\x03\x04", b"<html>502</html>", b"\xff" * 100, b"a" * 100_000):
        refused(kind, file)


def test_a_day_without_trades_still_tells_whose_it_is(files: Path) -> None:
    _, ours = READERS["unionpay"]

    def archive(*names: str) -> bytes:
        made = BytesIO()
        with zipfile.ZipFile(made, "w") as opened:
            for name in names:
                opened.writestr(name, b"")
        return made.getvalue()

    day = f"{DAY:%y%m%d}"
    assert lines("unionpay", archive(f"INN{day}88ZME_{ours}")) == []
    assert refused("unionpay", archive(f"INN{day}88ZME_{ours[::-1]}"))[0] == "bill_wrong_merchant"
    assert refused("unionpay", archive(f"INN26010188ZME_{ours}"))[0] == "bill_wrong_day"
    assert refused("unionpay", archive("readme.txt"))[0] == "bill_cut_short"
    assert refused("unionpay", archive())[0] == "bill_cut_short"


def test_an_archive_that_unpacks_to_too_much_is_refused(files: Path) -> None:
    bomb = BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("detail.csv", b"#" * (64 << 20))
    tracemalloc.start()
    assert refused("alipay", bomb.getvalue()) == ("bill_unreadable", 1)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 << 20


@pytest.mark.parametrize("kind", READERS)
def test_memory_does_not_grow_with_a_bill(kind: str, tmp_path: Path) -> None:
    reads, ours = READERS[kind]
    most = []
    for rows in (400, 1_600):
        path = Path(write(kind, tmp_path / str(rows), rows, 0, DAY, 5).bill)
        with path.open("rb") as file:
            tracemalloc.start()
            assert sum(1 for _ in reads(file, Expected(ours, DAY))) == rows
            most.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert most[1] < most[0] + (256 << 10)


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"columns = 1",
        MAPPING.replace('"pay"', '"pays"').encode(),
        MAPPING.replace("their_no", "theirs").encode(),
        MAPPING.replace('"gbk"', '"latin-1"').encode(),
        b"\xff",
        b"#" * (1 << 17),
    ],
)
def test_a_mapping_that_cannot_be_used_is_told(wrong: bytes) -> None:
    with pytest.raises(KabaoError, match="names the columns"):
        read_mapping(wrong)
