"""An adapter, the party it speaks with, and the address that the party notifies; over sockets."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from cryptography import x509

from kabao.adapters import rsa
from kabao.adapters.acquirer import channel as acquirer
from kabao.adapters.alipay import channel as alipay
from kabao.adapters.bank.channel import Account, BankChannel
from kabao.adapters.bank.payout import Holder
from kabao.adapters.envelope import Partner
from kabao.adapters.figures import LOCAL
from kabao.adapters.gateway.channel import GatewayChannel
from kabao.adapters.gateway.products import Merchant as Behind
from kabao.adapters.gateway.products import Product
from kabao.adapters.line import Line, client
from kabao.adapters.unionpay import channel as unionpay
from kabao.adapters.unionpay.signing import Trust
from kabao.adapters.wechat import channel as wechat
from kabao.adapters.wechat.signing import Merchant
from kabao.base.clock import FixedClock
from kabao.funding.model.answers import (
    Created,
    Incoming,
    Notice,
    Order,
    Payer,
    Refund,
    Rejected,
    Scene,
    Show,
    Waiting,
)
from kabao.funding.ports import PayChannel
from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party import keys
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Host
from kabao_sandbox.party.http import Request, Response, Server

CHANNELS = ("alipay", "wechat", "unionpay", "netbank", "ecny", "cards", "bank")
"""Whom the suite is run with; other parties of a kind differ in their terms only."""

FIRST = {"netbank": Scene.PAGE, "cards": Scene.PAGE, "bank": Scene.TRANSFER}
"""The scene an order is of if nothing is said, where it is not QR."""

BEGIN = datetime(2026, 11, 22, 10, 30, tzinfo=LOCAL)
AGE_S = 300
SIGNERS = frozenset({"中国银联股份有限公司"})
S = 1_000_000

_POOL: list[keys.Private] = []


def pool() -> Callable[[], keys.Private]:
    """Keys made once for all tests: making one is slow. Within a party they differ."""
    used = itertools.count()

    def new() -> keys.Private:
        at = next(used)
        if at == len(_POOL):
            _POOL.append(keys.new())
        return _POOL[at]

    return new


class World:
    """What a test holds."""

    def __init__(self, name: str, *, strange: bool = False) -> None:
        """`strange`: a party whose own keys are not those the adapter knows."""
        self.name, self.clock = name, FixedClock(BEGIN)
        self.party = PARTIES[name](self.clock.now_us, Chance(7), pool())
        self._strange = strange
        self.host = Host(self.party, Chance(8))
        self.client = client(connect_s=1, answer_s=2, connections=8)
        self.heard: list[Notice | Rejected] = []
        self.raw: list[Incoming] = []
        self.numbers: Iterator[int] = itertools.count(1)
        self._inbox = Server(self._notified)
        self._servers = [self._inbox]
        self.channel: PayChannel

    async def open(self) -> None:
        await self.host.start()
        await self._inbox.start()
        self.channel = self._channel(self.account())

    async def close(self) -> None:
        await self.host.stop()
        for server in self._servers:
            await server.stop()
        await self.client.aclose()

    async def _notified(self, request: Request) -> Response:
        incoming = Incoming(request.headers, request.body)
        self.raw.append(incoming)
        said = self.channel.read(incoming)
        self.heard.append(said)
        reply = self.channel.reply(taken=isinstance(said, Notice))
        return Response(reply.status, reply.body, reply.content_type)

    async def asked(self, order: Order, payer: Payer | None = None) -> Created:
        """The channel is asked, and the payer looks at what it gave for them."""
        said = await self.channel.create(order, payer or Payer())
        if isinstance(said, Waiting) and said.show is Show.FORM:
            page = await self.client.post(said.text, data=dict(said.fields))
            assert page.status_code == 200, page.text
        return said

    def order(self, scene: Scene | None = None, amount_fen: int = 12_345, **more: object) -> Order:
        now_us = self.clock.now_us()
        fields = {
            "no": f"{next(self.numbers):032x}",
            "scene": scene or FIRST.get(self.name, Scene.QR),
            "amount_fen": amount_fen,
            "subject": "百货卡充值, 100 元",
            "created_us": now_us,
            "expires_us": now_us + 900 * S,
            "notify_url": f"http://127.0.0.1:{self._inbox.port}/notify",
            **more,
        }
        return Order(**fields)  # type: ignore[arg-type] # test data

    def refund(self, order: Order, channel_no: str, amount_fen: int) -> Refund:
        now_us = self.clock.now_us()
        no = f"{next(self.numbers):032x}"
        return Refund(no, amount_fen, order.amount_fen, channel_no, now_us, "退货")

    def code(self, *, password: bool = False) -> str:
        return self.party.book.new_code(password=password)

    def pays(self, order: Order) -> bool:
        """The payer pays what they were shown."""
        trade = self.party.book.find(order.no)
        assert trade is not None
        return self.host.pay(trade)

    def account(self) -> dict[str, Any]:
        """What the party's console hands out."""
        known = self.party.account()
        if self._strange:
            public = keys.public_pem(keys.new())
            known |= {"alipay_public_key": public, "wechat_public_key": public, "between": []}
            known |= {"certificates": []}
        return known

    def others(self) -> tuple[PayChannel | None, PayChannel]:
        """Adapters with the same keys for another app, and for another merchant."""
        names = {"alipay": "seller_id", "wechat": "mch_id", "unionpay": "mer_id", "bank": "account"}
        account, another = self.account(), {"app_id": "other", "product": "netbank_company"}
        app = next((name for name in another if name in account), None)
        return (
            self._channel(account | {app: another[app]}) if app else None,
            self._channel(account | {names.get(self.name, "merchant"): "other"}),
        )

    async def told(self) -> None:
        """Until the party has told everything."""
        async with asyncio.timeout(10):
            await self.host.notifier.settled()

    async def instead(self, page: Response) -> PayChannel:
        """The adapter with somebody at the other end who says the same to everything."""

        async def say(request: Request) -> Response:
            del request
            return page

        self._servers.append(Server(say))
        await self._servers[-1].start()
        return self._channel(self.account(), f"http://127.0.0.1:{self._servers[-1].port}")

    def _channel(self, account: dict[str, Any], base: str = "") -> PayChannel:
        key = rsa.private_key(account["merchant_key"].encode())
        http, clock, base = self.client, self.clock, base or self.host.url
        match self.name:
            case "alipay":
                public = rsa.public_key(account["alipay_public_key"].encode())
                ours = alipay.Merchant(account["app_id"], account["seller_id"], key, public)
                return alipay.AlipayChannel(Line(http, f"{base}/gateway.do"), ours, clock)
            case "wechat":
                merchant = Merchant(
                    mch_id=account["mch_id"],
                    app_id=account["app_id"],
                    serial_no=account["serial_no"],
                    key=key,
                    wechat_key_id=account["wechat_key_id"],
                    wechat_key=rsa.public_key(account["wechat_public_key"].encode()),
                    api_key=account["api_key"].encode(),
                )
                return wechat.WechatChannel(Line(http, base), merchant, clock, age_s=AGE_S)
            case "netbank" | "netbank_company" | "ecny" | "cards":
                behind = Behind(partner(account), Product(account["product"]), account["banks"])
                return GatewayChannel(Line(http, base), behind, clock, age_s=AGE_S)
            case "acquirer":
                terminals = acquirer.Account(partner(account), frozenset(account["terminals"]))
                return acquirer.AcquirerChannel(Line(http, base), terminals, clock, age_s=AGE_S)
            case "bank":
                return BankChannel(Line(http, base), ours_at_bank(account), clock, age_s=AGE_S)
        there = unionpay.Merchant(account["mer_id"], account["cert_id"], key, trust(account))
        line, files = Line(http, f"{base}/gateway/api"), Line(http, base)
        return unionpay.UnionpayChannel(line, files, there, clock)


def ours_at_bank(account: dict[str, Any]) -> Account:
    holder = Holder(account["holder"], account["account"], account["bank_no"])
    tables = account.get("tables", False)
    return Account(partner(account), holder, account["bank_name"], account["prefix"], tables=tables)


def partner(account: dict[str, Any]) -> Partner:
    """The contract with a bank."""
    key = rsa.private_key(account["merchant_key"].encode())
    certificates = tuple(map(certificate, account["certificates"]))
    return Partner(account["merchant"], account["serial"], key, certificates)


def certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def trust(account: dict[str, Any]) -> Trust:
    """Whose messages are UnionPay's."""
    root, *between = map(certificate, (account["root"], *account["between"]))
    return Trust(root, between, SIGNERS)


@asynccontextmanager
async def world(name: str, *, strange: bool = False) -> AsyncIterator[World]:
    made = World(name, strange=strange)
    await made.open()
    try:
        yield made
    finally:
        await made.close()
