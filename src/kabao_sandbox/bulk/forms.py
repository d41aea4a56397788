"""How each kind of bill numbers its rows, what it can show, and who writes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path

from kabao_sandbox.acquirer import bill as acquirer
from kabao_sandbox.acquirer import server as acquirer_server
from kabao_sandbox.alipay import bill as alipay
from kabao_sandbox.alipay import server as alipay_server
from kabao_sandbox.bank import camt, table
from kabao_sandbox.bank import server as bank_server
from kabao_sandbox.bank.model import booked
from kabao_sandbox.bulk import legacy
from kabao_sandbox.bulk.model import Form
from kabao_sandbox.gateway import bill as gateway
from kabao_sandbox.gateway import products
from kabao_sandbox.gateway import server as gateway_server
from kabao_sandbox.party.bills import Row
from kabao_sandbox.unionpay import bill as unionpay
from kabao_sandbox.unionpay import server as unionpay_server
from kabao_sandbox.wechat import bill as wechat
from kabao_sandbox.wechat import server as wechat_server

OPENING_FEN = 1_000_000_000


def _alipay(rows: Sequence[Row], day: date, path: Path) -> None:
    path.write_bytes(alipay.written(rows, day, alipay_server.SELLER, truncated=False))


def _wechat(rows: Sequence[Row], day: date, path: Path) -> None:
    del day
    path.write_bytes(wechat.written(rows, wechat_server.APP, wechat_server.MERCHANT))


def _unionpay(rows: Sequence[Row], day: date, path: Path) -> None:
    path.write_bytes(unionpay.written(rows, day, unionpay_server.MERCHANT, truncated=False))


def _gateway(rows: Sequence[Row], day: date, path: Path) -> None:
    path.write_bytes(gateway.written(rows, day, gateway_server.MERCHANT))


def _acquirer(rows: Sequence[Row], day: date, path: Path) -> None:
    path.write_bytes(acquirer.written(rows, acquirer_server.MERCHANT, day))


def _camt(rows: Sequence[Row], day: date, path: Path) -> None:
    path.write_bytes(camt.statement(booked(rows), OPENING_FEN, day, 1))


def _table(rows: Sequence[Row], day: date, path: Path) -> None:
    path.write_bytes(table.written(booked(rows), OPENING_FEN, day))


def _legacy(rows: Sequence[Row], day: date, path: Path) -> None:
    del day
    path.write_bytes(legacy.written(rows))
    path.with_suffix(".toml").write_text(legacy.MAPPING)


def _of_payment(row: Row) -> str:
    return row.number


def _of_either(row: Row) -> str:
    return row.refund_number or row.number


def _of_slip(row: Row) -> str:
    """A sale's number is terminal and reference; the authorisation code is no part of it."""
    terminal, reference, _ = row.number.split("-")
    return f"{terminal}-{reference}"


def _no_number(_: int) -> str:
    return ""


def _number(prefix: str, digits: int, n: int) -> str:
    return f"{prefix}{n:0{digits - len(prefix)}d}"


def _slip(n: int) -> str:
    return f"{10_000_001 + n % 40}-{n:012d}-{n % 1_000_000:06d}"


FORMS = {
    "alipay": Form(
        "zip",
        partial(_number, "2026112222001", 28),
        _no_number,
        _of_payment,
        _alipay,
        party=alipay_server.Alipay,
    ),
    "wechat": Form(
        "csv",
        partial(_number, "42000", 28),
        partial(_number, "50300", 29),
        _of_either,
        _wechat,
        fee_step_mfen=1,
        shows_currency=True,
        party=wechat_server.Wechat,
    ),
    "unionpay": Form(
        "zip",
        partial(_number, "26", 21),
        partial(_number, "99", 21),
        _of_either,
        _unionpay,
        ends_hour=unionpay_server.DAY_ENDS_HOUR,
        party=unionpay_server.Unionpay,
    ),
    "gateway": Form(
        "txt",
        partial(_number, "20261122", 20),
        _no_number,
        _of_payment,
        _gateway,
        fee_step_mfen=1,
        party=partial(gateway_server.Gateway, products.CARDS),
    ),
    "acquirer": Form(
        "csv",
        _slip,
        _no_number,
        _of_slip,
        _acquirer,
        fee_step_mfen=1,
        refunds=False,
        party=acquirer_server.Acquirer,
    ),
    "camt": Form(
        "xml",
        partial(_number, "B", 16),
        partial(_number, "D", 16),
        _of_either,
        _camt,
        fee_ppm=3_000,
        gives_fees_back=False,
        party=bank_server.Bank,
    ),
    "table": Form(
        "csv",
        partial(_number, "B", 16),
        partial(_number, "D", 16),
        _of_either,
        _table,
        fee_ppm=3_000,
        gives_fees_back=False,
        party=bank_server.Bank,
    ),
    "legacy": Form(
        "csv",
        partial(_number, "L", 12),
        partial(_number, "R", 12),
        _of_either,
        _legacy,
        shows_currency=True,
    ),
}
"""By the name under which the command knows them."""
