"""stable_token and message/template/send."""

from __future__ import annotations

import asyncio
import html
import json
import secrets
from collections import deque
from typing import Any

import msgspec

from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.faults import Faults
from kabao_sandbox.party.http import Request, Response, Server

SEEN_MAX = 1_000
TOKEN_S = 7_200
BAD_TOKEN, BAD_APP, BAD_SECRET, BAD_OPENID, BAD_TEMPLATE = 40001, 40013, 40125, 40003, 40037
NO_FIELD = 47003


class Account:
    """An official account with followers and templates."""

    def __init__(self, chance: Chance, app_id: str, secret: str) -> None:
        self.app_id, self.secret, self.faults = app_id, secret, Faults()
        self._chance = chance
        self.followers: set[str] = set()
        self.templates: dict[str, set[str]] = {}
        """By id, the fields of each."""
        self.messages: deque[dict[str, Any]] = deque(maxlen=SEEN_MAX)
        self._token = ""
        self._seen: set[str] = set()
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
        """Where the protocol is spoken."""
        return f"http://127.0.0.1:{self._door.port}"

    @property
    def desk_url(self) -> str:
        """Where the followers are seen."""
        return f"http://127.0.0.1:{self._desk.port}"

    def forget_token(self) -> None:
        """The token is over before its time, as it is when somebody else fetched one."""
        self._token = ""

    async def _answer(self, request: Request) -> Response | None:
        if self.faults.delay_ms:
            await asyncio.sleep(self.faults.delay_ms / 1000)
        try:
            asked = json.loads(request.body)
        except ValueError:
            return _json({"errcode": 47001, "errmsg": "data format error"})
        match request.method, request.path:
            case "POST", "/cgi-bin/stable_token":
                return _json(self._give_token(asked))
            case "POST", "/cgi-bin/message/template/send":
                said = _json(self._send(request.query.get("access_token", ""), asked))
                return None if self._chance.random() * 100 < self.faults.lose else said
        return Response(404)

    def _give_token(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked.get("appid") != self.app_id:
            return _no(BAD_APP, "invalid appid")
        if asked.get("secret") != self.secret:
            return _no(BAD_SECRET, "invalid appsecret")
        if not self._token or asked.get("force_refresh"):
            self._token = secrets.token_urlsafe(48)
        return {"access_token": self._token, "expires_in": TOKEN_S}

    def _send(self, token: str, asked: dict[str, Any]) -> dict[str, Any]:
        if not token or token != self._token:
            return _no(BAD_TOKEN, "invalid credential, access_token is invalid or not latest")
        if asked.get("touser") not in self.followers:
            return _no(BAD_OPENID, "invalid openid")
        fields = self.templates.get(str(asked.get("template_id")))
        if fields is None:
            return _no(BAD_TEMPLATE, "invalid template_id")
        if set(asked.get("data", {})) != fields:
            return _no(NO_FIELD, "argument invalid! data fields differ")
        said = {"errcode": 0, "errmsg": "ok", "msgid": 200_228_332 + len(self.messages)}
        ident = asked.get("client_msg_id")
        if ident and ident in self._seen:
            return said
        self._seen.add(str(ident))
        self.messages.append(asked)
        return said

    async def _at_desk(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/":
                rows = "".join(f"<li>{html.escape(json.dumps(m))}</li>" for m in self.messages)
                page = f"<!doctype html><title>WeChat</title><h1>Followers</h1><ul>{rows}</ul>"
                return Response(200, page.encode(), "text/html; charset=utf-8")
            case "GET", "/messages":
                return _json(list(self.messages))
            case "PUT", "/faults":
                try:
                    self.faults = msgspec.json.decode(request.body, type=Faults)
                except msgspec.DecodeError as wrong:
                    return _json({"error": str(wrong)}, 400)
                return Response(204)
        return Response(404)


def _no(code: int, why: str) -> dict[str, Any]:
    return {"errcode": code, "errmsg": why}


def _json(said: Any, status: int = 200) -> Response:
    body = json.dumps(said, ensure_ascii=False).encode()
    return Response(status, body, "application/json; charset=utf-8")
