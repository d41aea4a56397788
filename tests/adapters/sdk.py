"""Public SDKs of Alipay and WeChat Pay as clients of the sandbox, recorded.

    uv run --with wechatpayv3 --with python-alipay-sdk python -m tests.adapters.sdk

Each SDK asks the sandbox over a socket and verifies what comes back, notifications
included; it stops at the first thing it does not accept. What both sides said is
written to `sdk.json` with the public keys, so that the tests can show without
the SDKs that our code signs and believes the same bytes. (RSA signatures of PKCS #1
v1.5 are a function of key and bytes: what verifies is what we would have signed.)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kabao_sandbox.alipay.server import Alipay
from kabao_sandbox.party import keys, moment
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Host, Party
from kabao_sandbox.party.http import Request, Response, Server
from kabao_sandbox.wechat.server import Wechat

FILE = Path(__file__).with_name("sdk.json")
NO, SUBJECT = "0192f3c0a1b27c3d8e4f5a6b7c8d9e0f", "百货卡充值"

Recorded = dict[str, Any]


async def record(
    party: Party, talk: Callable[[Party, str, str], list[str]], at_us: int
) -> tuple[Recorded, Request]:
    """Let an SDK talk; what it asked, and the notification it brought about."""
    asked: list[Recorded] = []
    heard: asyncio.Queue[Request] = asyncio.Queue()
    answer = party.answer

    def listen(request: Request) -> Response:
        response = answer(request)
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = response.body.decode()
        said = {"status": response.status, "headers": headers, "body": body}
        asked.append({"request": shown(request), "response": said})
        return response

    async def hear(request: Request) -> Response:
        heard.put_nowait(request)
        return Response(200, b"success")

    party.answer = listen  # type: ignore[method-assign] # to write down what passes
    host, inbox = Host(party, Chance(1)), Server(hear)
    await host.start()
    await inbox.start()
    notify_url = f"http://127.0.0.1:{inbox.port}/notify"
    accepted = await asyncio.to_thread(talk, party, host.url, notify_url)
    trade = party.book.find(NO)
    assert trade is not None
    host.pay(trade)
    notification = await asyncio.wait_for(heard.get(), 5)
    await host.stop()
    await inbox.stop()
    account = party.account()
    del account["merchant_key"]
    return {
        "at_us": at_us,
        "account": account,
        "asked": asked,
        "accepted": accepted,
        "notification": shown(notification),
    }, notification


def shown(request: Request) -> Recorded:
    headers = {
        name: value
        for name, value in request.headers.items()
        if name.startswith(("wechatpay-", "authorization", "content-type"))
    }
    return {
        "method": request.method,
        "target": request.target,
        "headers": headers,
        "body": request.body.decode(),
    }


def by_alipays_sdk(party: Party, url: str, notify_url: str) -> list[str]:
    alipay = _alipays_sdk(party)
    alipay._gateway = f"{url}/gateway.do"
    made = alipay.api_alipay_trade_precreate(
        SUBJECT, NO, "123.45", notify_url=notify_url, disable_pay_channels="credit_group"
    )
    assert made["qr_code"], made
    scanned = alipay.api_alipay_trade_pay(
        f"{NO[:-1]}1", "bar_code", party.book.new_code(), SUBJECT, total_amount="0.01"
    )
    assert scanned["code"] == "10000", scanned
    back = alipay.api_alipay_trade_refund("0.01", f"{NO[:-1]}1", out_request_no=f"{NO[:-1]}2")
    assert back["fund_change"] == "Y", back
    found = alipay.api_alipay_trade_query(f"{NO[:-1]}1")
    assert found["trade_status"] == "TRADE_CLOSED", found
    return ["precreate", "pay", "refund", "query"]


def _alipays_sdk(party: Party) -> Any:
    from alipay import AliPay  # noqa: PLC0415 -- only this program has it

    account = party.account()
    return AliPay(
        account["app_id"],
        app_private_key_string=account["merchant_key"],
        alipay_public_key_string=account["alipay_public_key"],
        sign_type="RSA2",
    )


def by_wechats_sdk(party: Party, url: str, notify_url: str) -> list[str]:
    from wechatpayv3 import WeChatPayType  # noqa: PLC0415 -- only this program has it

    wechat = _wechats_sdk(party)
    wechat._core._gate_way = url
    amount = {"total": 12_345, "currency": "CNY"}
    code, said = wechat.pay(
        SUBJECT, NO, amount, pay_type=WeChatPayType.NATIVE, notify_url=notify_url
    )
    assert code == 200 and json.loads(said)["code_url"], said
    code, said = wechat.pay(
        SUBJECT,
        f"{NO[:-1]}1",
        {"total": 1, "currency": "CNY"},
        payer={"auth_code": party.book.new_code()},
        pay_type=WeChatPayType.CODEPAY,
    )
    assert code == 200 and json.loads(said)["trade_state"] == "SUCCESS", said
    code, said = wechat.refund(
        f"{NO[:-1]}2",
        {"total": 1, "refund": 1, "currency": "CNY"},
        out_trade_no=f"{NO[:-1]}1",
    )
    assert code == 200 and json.loads(said)["status"] == "SUCCESS", said
    code, said = wechat.query(out_trade_no=NO)
    assert code == 200 and json.loads(said)["trade_state"] == "NOTPAY", said
    return ["native", "codepay", "refund", "query"]


def _wechats_sdk(party: Party) -> Any:
    from wechatpayv3 import WeChatPay, WeChatPayType  # noqa: PLC0415 -- only this program has it

    account = party.account()
    return WeChatPay(
        WeChatPayType.NATIVE,
        account["mch_id"],
        account["merchant_key"],
        account["serial_no"],
        account["app_id"],
        account["api_key"],
        "http://127.0.0.1",
        public_key=account["wechat_public_key"],
        public_key_id=account["wechat_key_id"],
    )


def main() -> None:
    at_us = moment.real() // moment.US * moment.US
    alipay, wechat = Alipay(lambda: at_us, Chance(1)), Wechat(lambda: at_us, Chance(1))
    of_alipay, notification = asyncio.run(record(alipay, by_alipays_sdk, at_us))
    form = notification.form
    assert _alipays_sdk(alipay).verify(form, form.pop("sign"))
    of_wechat, notification = asyncio.run(record(wechat, by_wechats_sdk, at_us))
    opened = _wechats_sdk(wechat).callback(dict(notification.headers), notification.body)
    assert opened and opened["resource"]["out_trade_no"] == NO, opened
    of_alipay["merchant_public_key"] = keys.public_pem(alipay.merchant_key)
    of_wechat["merchant_public_key"] = keys.public_pem(wechat.merchant_key)
    whole = {"alipay": of_alipay, "wechat": of_wechat}
    FILE.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
