"""The reader of every kind of bill, and whose the sandbox's are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import IO

from kabao.adapters.acquirer import bill as acquirer
from kabao.adapters.alipay import bill as alipay
from kabao.adapters.bank import bill as bank
from kabao.adapters.bank import statement, table
from kabao.adapters.gateway import bill as gateway
from kabao.adapters.legacy import bill as legacy
from kabao.adapters.legacy.mapping import read_mapping
from kabao.adapters.unionpay import bill as unionpay
from kabao.adapters.wechat import bill as wechat
from kabao.reconciliation.model.lines import BillReader, Expected
from kabao_sandbox.acquirer import server as acquirer_server
from kabao_sandbox.alipay import server as alipay_server
from kabao_sandbox.bank.model import ACCOUNT
from kabao_sandbox.bulk.legacy import MAPPING
from kabao_sandbox.gateway import server as gateway_server
from kabao_sandbox.unionpay import server as unionpay_server
from kabao_sandbox.wechat import server as wechat_server

Reads = Callable[[IO[bytes], Expected], BillReader]

READERS: dict[str, tuple[Reads, str]] = {
    "alipay": (alipay.read, alipay_server.SELLER),
    "wechat": (wechat.read, wechat_server.MERCHANT),
    "unionpay": (unionpay.read, unionpay_server.MERCHANT),
    "gateway": (gateway.read, gateway_server.MERCHANT),
    "acquirer": (acquirer.read, acquirer_server.MERCHANT),
    "camt": (partial(bank.read, reads=statement.read), ACCOUNT),
    "table": (partial(bank.read, reads=table.read), ACCOUNT),
    "legacy": (partial(legacy.read, mapping=read_mapping(MAPPING.encode())), ""),
}
