"""The parties that carry notices, as they are started by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random  # noqa: TID251 -- seeded, for a test

import httpx
import pytest
from typer.testing import CliRunner

from kabao_sandbox.__main__ import app
from kabao_sandbox.sms.server import Gateway
from kabao_sandbox.wechat_templates.server import Account


@pytest.fixture
async def asks() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.mark.parametrize("name", ["sms", "wechat-account"])
def test_each_tells_how_it_is_started(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0
    assert "/faults" in done.output and f"kabao_sandbox {name}" in done.output


async def test_a_gateway_shows_what_phones_got(asks: httpx.AsyncClient) -> None:
    gateway = Gateway(Random(1), "k", an_hour=2)
    await gateway.start()
    form = {"apikey": "k", "mobile": "13800001234", "text": "【卡包】<b>1</b>"}
    send = f"{gateway.url}/v2/sms/single_send.json"
    codes = [(await asks.post(send, data=form)).json()["code"] for _ in range(3)]
    wrong = [{"apikey": "x"}, {"mobile": "1"}, {"text": "unsigned"}, {"text": ""}]
    codes += [(await asks.post(send, data=form | one)).json()["code"] for one in wrong]
    assert codes == [0, 0, 22, -1, 2, 5, 1]
    assert len((await asks.get(f"{gateway.desk_url}/texts")).json()) == 2
    assert "<b>1" not in (await asks.get(gateway.desk_url)).text
    assert (await asks.put(f"{gateway.desk_url}/faults", json={"lose": 101})).status_code == 400
    assert (await asks.put(f"{gateway.desk_url}/faults", json={"lose": 100})).status_code == 204
    with pytest.raises(httpx.HTTPError):
        await asks.post(send, data=form)
    await gateway.stop()


async def test_an_account_gives_tokens_and_takes_messages_once(asks: httpx.AsyncClient) -> None:
    account = Account(Random(1), "wx", "s")
    account.followers.add("o")
    account.templates["T"] = {"thing1"}
    await account.start()
    asked = {"grant_type": "client_credential", "appid": "wx", "secret": "s"}
    given = [
        (await asks.post(f"{account.url}/cgi-bin/stable_token", json=asked | more)).json()
        for more in ({}, {}, {"force_refresh": True}, {"appid": "x"}, {"secret": "x"})
    ]
    tokens = [one.get("access_token") for one in given]
    assert tokens[0] == tokens[1] != tokens[2]
    assert [one.get("errcode") for one in given[3:]] == [40013, 40125]
    body = {"touser": "o", "template_id": "T", "client_msg_id": "1", "data": {"thing1": {}}}

    async def send(token: str, **more: object) -> int:
        url = f"{account.url}/cgi-bin/message/template/send"
        reply = await asks.post(url, params={"access_token": token}, json=body | more)
        return int(reply.json()["errcode"])

    assert [await send(token) for token in (tokens[0], tokens[2], tokens[2])] == [40001, 0, 0]
    assert len((await asks.get(f"{account.desk_url}/messages")).json()) == 1
    wrong = [{"touser": "x"}, {"template_id": "x"}, {"data": {}}]
    assert [await send(tokens[2], **one) for one in wrong] == [40003, 40037, 47003]
    await account.stop()
