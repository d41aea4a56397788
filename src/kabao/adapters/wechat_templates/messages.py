"""`POST /cgi-bin/message/template/send` with a token of `POST /cgi-bin/stable_token`."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from kabao.adapters.line import Answer, Line
from kabao.base.clock import US_PER_S, Clock
from kabao.funding.model.answers import Unreachable
from kabao.notices.ports import Handed

WECHAT = "https://api.weixin.qq.com"
TOKEN, SEND = "/cgi-bin/stable_token", "/cgi-bin/message/template/send"
JSON = {"content-type": "application/json"}

TAKEN = 0
STALE_TOKEN = frozenset({40001, 40014, 42001})
"""The token is unknown, broken or over: nothing was sent."""
BUSY = frozenset({-1, 45009})
"""They are busy, or we have asked too often: nothing was sent, later it may be."""
SPARE_S = 300
"""A token is fetched anew that long before it is over."""


class _Token(msgspec.Struct):
    access_token: str = ""
    expires_in: int = 0


class _Said(msgspec.Struct):
    errcode: int


class TemplateMessages:
    """An official account with its secret. `Followers` of notices."""

    def __init__(self, line: Line, app_id: str, secret: str, clock: Clock) -> None:
        self._line, self._app_id, self._secret, self._clock = line, app_id, secret, clock
        self._token, self._until_us = "", 0

    async def send(
        self, openid: str, template: str, fields: Mapping[str, str], reference: str
    ) -> Handed:
        """One message. WeChat itself drops a second one of the same `reference`."""
        body = {
            "touser": openid,
            "template_id": template,
            "client_msg_id": reference,
            "data": {name: {"value": value} for name, value in fields.items()},
        }
        for fresh in (False, True):
            token = await self._access(fresh=fresh)
            if isinstance(token, Handed):
                return token
            code = await self._ask(f"{SEND}?access_token={quote(token)}", body)
            if isinstance(code, Handed):
                return code
            if code not in STALE_TOKEN:
                return _meaning(code)
        return Handed.REFUSED

    async def _access(self, *, fresh: bool) -> str | Handed:
        """A token. Not having got one, nothing was sent."""
        if not fresh and self._clock.now_us() < self._until_us:
            return self._token
        asked = {
            "grant_type": "client_credential",
            "appid": self._app_id,
            "secret": self._secret,
            "force_refresh": fresh,
        }
        content = msgspec.json.encode(asked)
        said = await self._line.ask("POST", TOKEN, headers=JSON, content=content)
        if not isinstance(said, Answer):
            return Handed.UNREACHABLE
        try:
            token = msgspec.json.decode(said.body, type=_Token)
        except msgspec.DecodeError:
            return Handed.UNREACHABLE
        if not token.access_token:
            return Handed.REFUSED
        self._token = token.access_token
        self._until_us = self._clock.now_us() + (token.expires_in - SPARE_S) * US_PER_S
        return self._token

    async def _ask(self, target: str, body: Mapping[str, object]) -> int | Handed:
        """Their code, or what came of it without one."""
        content = msgspec.json.encode(body)
        said = await self._line.ask("POST", target, headers=JSON, content=content)
        if isinstance(said, Unreachable):
            return Handed.UNREACHABLE
        if not isinstance(said, Answer) or said.status != 200:
            return Handed.UNKNOWN
        try:
            return msgspec.json.decode(said.body, type=_Said).errcode
        except msgspec.DecodeError:
            return Handed.UNKNOWN


def _meaning(code: int) -> Handed:
    if code == TAKEN:
        return Handed.ACCEPTED
    return Handed.UNREACHABLE if code in BUSY else Handed.REFUSED
