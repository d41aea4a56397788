"""What public SDKs said to the sandbox, and what they accepted from it; `sdk.py` records it."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from kabao.adapters import rsa
from kabao.adapters.alipay import notices as alipay_notices
from kabao.adapters.alipay import signing as alipay
from kabao.adapters.wechat import notices as wechat_notices
from kabao.adapters.wechat.signing import Merchant
from kabao.funding.model.answers import Incoming, Notice, Paid
from kabao_sandbox.party import keys

from .sdk import FILE, NO
from .world import AGE_S, S

RECORD: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
ALIPAY, WECHAT = RECORD["alipay"], RECORD["wechat"]
KEY = keys.new()


def exchanges(record: dict[str, Any]) -> Any:
    return pytest.mark.parametrize("one", record["asked"], ids=record["accepted"])


def merchant() -> Merchant:
    account = WECHAT["account"]
    return Merchant(
        mch_id=account["mch_id"],
        app_id=account["app_id"],
        serial_no=account["serial_no"],
        key=KEY,
        wechat_key_id=account["wechat_key_id"],
        wechat_key=rsa.public_key(account["wechat_public_key"].encode()),
        api_key=account["api_key"].encode(),
    )


@exchanges(ALIPAY)
def test_alipays_sdk_signs_what_we_sign(one: dict[str, Any]) -> None:
    params = dict(parse_qsl(urlsplit(one["request"]["target"]).query, keep_blank_values=True))
    key = rsa.public_key(ALIPAY["merchant_public_key"].encode())
    assert rsa.holds(key, alipay.content(params), params["sign"])


@exchanges(ALIPAY)
def test_we_believe_the_answers_that_alipays_sdk_believed(one: dict[str, Any]) -> None:
    key = rsa.public_key(ALIPAY["account"]["alipay_public_key"].encode())
    body = one["response"]["body"].encode()
    name = next(iter(json.loads(body)))
    node = alipay.node_of(key, name, body)
    assert node is not None and json.loads(node)["code"] == "10000"
    assert alipay.node_of(key, name, body.replace(b'"10000"', b'"10003"')) is None


def test_we_believe_the_notification_that_alipays_sdk_believed() -> None:
    account, notification = ALIPAY["account"], ALIPAY["notification"]
    key = rsa.public_key(account["alipay_public_key"].encode())
    incoming = Incoming(notification["headers"], notification["body"].encode())
    said = alipay_notices.read(incoming, key, account["app_id"], account["seller_id"])
    assert isinstance(said, Notice) and said.order_no == NO
    assert isinstance(said.about, Paid) and said.about.amount_fen == 12_345


@exchanges(WECHAT)
def test_wechats_sdk_signs_what_we_sign(one: dict[str, Any]) -> None:
    """Its header has our form, and its signature is over the bytes that ours is over."""
    request = one["request"]
    theirs = request["headers"]["authorization"]
    ours = merchant().authorization("GET", "/", b"", WECHAT["at_us"])
    names = re.compile(r'(\w+)="([^"]*)"')
    said = dict(names.findall(theirs))
    assert theirs.split(" ")[0] == ours.split(" ")[0]
    assert said.keys() == dict(names.findall(ours)).keys()
    message = "\n".join(
        (request["method"], request["target"], said["timestamp"], said["nonce_str"])
    )
    key = rsa.public_key(WECHAT["merchant_public_key"].encode())
    assert rsa.holds(key, f"{message}\n{request['body']}\n".encode(), said["signature"])


def test_our_own_header_is_over_those_bytes() -> None:
    header = merchant().authorization("POST", "/v3/x?y=1", b"{}", 1_700_000_000 * S)
    said = dict(re.findall(r'(\w+)="([^"]*)"', header))
    message = f"POST\n/v3/x?y=1\n1700000000\n{said['nonce_str']}\n{{}}\n"
    assert rsa.holds(KEY.public_key(), message.encode(), said["signature"])


@exchanges(WECHAT)
def test_we_believe_the_answers_that_wechats_sdk_believed(one: dict[str, Any]) -> None:
    headers, body = one["response"]["headers"], one["response"]["body"].encode()
    assert merchant().distrust(headers, body, WECHAT["at_us"], age_us=AGE_S * S) is None
    assert merchant().distrust(headers, body + b" ", WECHAT["at_us"], age_us=AGE_S * S) is not None


def test_we_believe_the_notification_that_wechats_sdk_opened() -> None:
    notification = WECHAT["notification"]
    incoming = Incoming(notification["headers"], notification["body"].encode())
    said = wechat_notices.read(incoming, merchant(), WECHAT["at_us"], age_us=AGE_S * S)
    assert isinstance(said, Notice) and said.order_no == NO
    assert isinstance(said.about, Paid) and said.about.amount_fen == 12_345
