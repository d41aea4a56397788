"""云片's single_send, as far as a merchant of ours uses it."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections import Counter, deque
from typing import Any

import msgspec

from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.faults import Faults
from kabao_sandbox.party.http import Request, Response, Server

SEEN_MAX = 1_000
LONGEST = 500
SIGNED = re.compile(r"^【[^】]{2,12}】")
PHONE = re.compile(r"^(\+\d{6,15}|1\d{10})$")

MISSING, BAD_PHONE, NO_TEMPLATE, TOO_OFTEN, BAD_KEY = 1, 2, 5, 22, -1


class Gateway:
    """Takes texts at one port; at the other one sees the phones."""

    def __init__(self, chance: Chance, key: str, *, an_hour: int = 1_000) -> None:
        self.key, self.faults = key, Faults()
        self._chance, self._an_hour = chance, an_hour
        self.texts: deque[dict[str, str]] = deque(maxlen=SEEN_MAX)
        self._sent: Counter[str] = Counter()
        self._door, self._desk = Server(self._answer), Server(self._at_desk)

    async def start(self, port: int = 0, desk: int = 0) -> None:
        """Open both ports."""
        await self._door.start(port)
        await self._desk.start(desk)

    async def stop(self) -> None:
        """Close both."""
        await self._door.stop()
        await self._desk.stop()

    @property
    def url(self) -> str:
        """Where texts are taken."""
        return f"http://127.0.0.1:{self._door.port}"

    @property
    def desk_url(self) -> str:
        """Where the phones are seen."""
        return f"http://127.0.0.1:{self._desk.port}"

    async def _answer(self, request: Request) -> Response | None:
        if self.faults.delay_ms:
            await asyncio.sleep(self.faults.delay_ms / 1000)
        if (request.method, request.path) != ("POST", "/v2/sms/single_send.json"):
            return Response(404)
        said = self._take(request.form)
        return None if self._chance.random() * 100 < self.faults.lose else said

    def _take(self, form: dict[str, str]) -> Response:
        phone, text = form.get("mobile", ""), form.get("text", "")
        if form.get("apikey") != self.key:
            return _no(BAD_KEY, "非法的apikey")
        if not phone or not text or len(text) > LONGEST:
            return _no(MISSING, "请求参数缺失")
        if not PHONE.match(phone):
            return _no(BAD_PHONE, "请求参数格式错误")
        if not SIGNED.match(text):
            return _no(NO_TEMPLATE, "未找到匹配的模板")
        if self._sent[phone] >= self._an_hour:
            return _no(TOO_OFTEN, "同一手机号发送次数超过限制")
        self._sent[phone] += 1
        self.texts.append({"mobile": phone, "text": text, "uid": form.get("uid", "")})
        said = {
            "code": 0,
            "msg": "发送成功",
            "count": 1 + (len(text) - 1) // 70,
            "fee": 0.05,
            "unit": "RMB",
            "mobile": phone,
            "sid": 3_310_228_064 + sum(self._sent.values()),
        }
        return _json(200, said)

    async def _at_desk(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/":
                return Response(200, self._page().encode(), "text/html; charset=utf-8")
            case "GET", "/texts":
                return _json(200, list(self.texts))
            case "GET", "/account":
                return _json(200, {"url": self.url, "key": self.key})
            case "PUT", "/faults":
                try:
                    self.faults = msgspec.json.decode(request.body, type=Faults)
                except msgspec.DecodeError as wrong:
                    return _json(400, {"error": str(wrong)})
                return Response(204)
        return Response(404)

    def _page(self) -> str:
        rows = "".join(
            f"<li>{html.escape(text['mobile'])}: {html.escape(text['text'])}</li>"
            for text in reversed(self.texts)
        )
        return f"<!doctype html><title>SMS</title><h1>SMS gateway</h1><ul>{rows}</ul>"


def _no(code: int, why: str) -> Response:
    return _json(400, {"http_status_code": 400, "code": code, "msg": why, "detail": why})


def _json(status: int, said: Any) -> Response:
    return Response(
        status, json.dumps(said, ensure_ascii=False).encode(), "application/json;charset=utf-8"
    )
