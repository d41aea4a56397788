"""How the adapter of each kind of payment channel is made from its account.

An account is what the party's console hands out, as JSON. `url` is where it is reached;
without it, the real one. Whatever is missing or unreadable raises, and is told as
`channel_account_unusable`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from kabao.adapters import rsa
from kabao.adapters.acquirer import channel as acquirer
from kabao.adapters.alipay import channel as alipay
from kabao.adapters.bank import channel as bank
from kabao.adapters.bank.payout import Holder
from kabao.adapters.envelope import Partner
from kabao.adapters.gateway import products as gateway
from kabao.adapters.gateway.channel import GatewayChannel
from kabao.adapters.line import Client, Line, client
from kabao.adapters.unionpay import channel as unionpay
from kabao.adapters.unionpay.signing import Trust
from kabao.adapters.wechat import channel as wechat
from kabao.adapters.wechat.signing import Merchant as WechatMerchant
from kabao.base.clock import Clock
from kabao.clearing.ports import PayoutBank, PaysOut, Through
from kabao.funding.model.channels import ChannelConfig
from kabao.funding.ops import Funding
from kabao.funding.ports import MakeChannel, PayChannel

CONNECT_S, ANSWER_S, CONNECTIONS = 3.0, 10.0, 32
"""For each party; one that is slow is asked again later."""

ALIPAY, WECHAT = "https://openapi.alipay.com", "https://api.mch.weixin.qq.com"
UNIONPAY, UNIONPAY_FILES = "https://gateway.95516.com", "https://filedownload.95516.com"
UNIONPAY_SIGNER = "中国银联股份有限公司"

DIRECT = frozenset({"bank", gateway.Product.NETBANK, gateway.Product.NETBANK_COMPANY})
"""Kinds at which a bank takes the money without a third party between (T-09)."""

Account = Mapping[str, Any]


class Lines:
    """The connections to all channels: each party has its own, so that none waits for another's."""

    def __init__(self, *, connect_s: float = CONNECT_S, connections: int = CONNECTIONS) -> None:
        self._clients: dict[str, Client] = {}
        self._connect_s, self._connections = connect_s, connections

    def to(self, account: Account, name: str, real: str | None, path: str = "") -> Line:
        """The line to an account's party. Outside of this machine only over TLS."""
        url = str(account[name] if real is None else account.get(name, real)).rstrip("/")
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("not over TLS")
        if parts.netloc not in self._clients:
            self._clients[parts.netloc] = client(
                connect_s=self._connect_s, answer_s=ANSWER_S, connections=self._connections
            )
        return Line(self._clients[parts.netloc], url + path)

    async def close(self) -> None:
        """Hang up."""
        for opened in self._clients.values():
            await opened.aclose()


def makers(lines: Lines, clock: Clock) -> dict[str, MakeChannel]:
    """Every kind of channel there is, with how its adapter is made."""
    kinds: dict[str, Callable[[Lines, Clock, ChannelConfig], PayChannel]] = {
        "alipay": _alipay,
        "wechat": _wechat,
        "unionpay": _unionpay,
        "acquirer": _acquirer,
        "bank": _bank,
        **{product.value: _gateway for product in gateway.Product},
    }
    return {kind: _bound(make, lines, clock) for kind, make in kinds.items()}


class PayingBanks:
    """`clearing.ports.Banks` over the channels: a company pays through its first which can."""

    def __init__(self, funding: Funding) -> None:
        self._channels = funding.channels

    def of(self, company: str) -> Through | None:
        """What a company pays through now."""
        for channel in self._channels.of(company):
            bank = self.at(channel.id)
            if channel.active and bank is not None:
                return Through(channel.id, bank)
        return None

    def at(self, channel: str) -> PayoutBank | None:
        """The bank of a channel, if it is one that pays out."""
        adapter = self._channels.adapter(channel)
        if isinstance(adapter, PaysOut):
            return adapter.batches
        return None


def _bound(
    make: Callable[[Lines, Clock, ChannelConfig], PayChannel], lines: Lines, clock: Clock
) -> MakeChannel:
    return lambda config: make(lines, clock, config)


def _alipay(lines: Lines, clock: Clock, config: ChannelConfig) -> PayChannel:
    account = config.account
    merchant = alipay.Merchant(
        app_id=account["app_id"],
        seller_id=account["seller_id"],
        key=rsa.private_key(account["merchant_key"].encode()),
        alipay_key=rsa.public_key(account["alipay_public_key"].encode()),
    )
    return alipay.AlipayChannel(lines.to(account, "url", ALIPAY, "/gateway.do"), merchant, clock)


def _wechat(lines: Lines, clock: Clock, config: ChannelConfig) -> PayChannel:
    account = config.account
    merchant = WechatMerchant(
        mch_id=account["mch_id"],
        app_id=account["app_id"],
        serial_no=account["serial_no"],
        key=rsa.private_key(account["merchant_key"].encode()),
        wechat_key_id=account["wechat_key_id"],
        wechat_key=rsa.public_key(account["wechat_public_key"].encode()),
        api_key=account["api_key"].encode(),
    )
    line = lines.to(account, "url", WECHAT)
    return wechat.WechatChannel(
        line, merchant, clock, age_s=config.age_s, debit_only=_debit_only(account)
    )


def _unionpay(lines: Lines, clock: Clock, config: ChannelConfig) -> PayChannel:
    account = config.account
    root, *between = map(rsa.certificate, (account["root"], *account["between"]))
    trust = Trust(root, between, frozenset({UNIONPAY_SIGNER}))
    merchant = unionpay.Merchant(
        account["mer_id"],
        account["cert_id"],
        rsa.private_key(account["merchant_key"].encode()),
        trust,
    )
    real_files = account.get("url", UNIONPAY_FILES)
    return unionpay.UnionpayChannel(
        lines.to(account, "url", UNIONPAY, "/gateway/api"),
        lines.to(account, "files", real_files),
        merchant,
        clock,
        debit_only=_debit_only(account),
    )


def _gateway(lines: Lines, clock: Clock, config: ChannelConfig) -> PayChannel:
    account = config.account
    product = gateway.Product(account["product"])
    if product != config.channel.kind:
        raise ValueError("the account is of another product")
    merchant = gateway.Merchant(_partner(account), product, account["banks"])
    return GatewayChannel(lines.to(account, "url", None), merchant, clock, age_s=config.age_s)


def _bank(lines: Lines, clock: Clock, config: ChannelConfig) -> PayChannel:
    account = config.account
    ours = bank.Account(
        partner=_partner(account),
        holder=Holder(account["holder"], account["account"], account["bank_no"]),
        bank_name=account["bank_name"],
        prefix=account["prefix"],
        tables=bool(account.get("tables", False)),
    )
    return bank.BankChannel(lines.to(account, "url", None), ours, clock, age_s=config.age_s)


def _acquirer(lines: Lines, clock: Clock, config: ChannelConfig) -> PayChannel:
    account = config.account
    ours = acquirer.Account(_partner(account), frozenset(map(str, account["terminals"])))
    line = lines.to(account, "url", None)
    return acquirer.AcquirerChannel(
        line, ours, clock, age_s=config.age_s, debit_only=_debit_only(account)
    )


def _debit_only(account: Account) -> bool:
    """Whether our contract there bars credit cards (ruling 16)."""
    return account.get("debit_only") is True


def _partner(account: Account) -> Partner:
    """The contract with a bank."""
    return Partner(
        merchant=account["merchant"],
        serial=account["serial"],
        key=rsa.private_key(account["merchant_key"].encode()),
        certificates=tuple(map(rsa.certificate, account["certificates"])),
    )
