"""云片 (Yunpian): `POST /v2/sms/single_send.json`, a form with key, phone and text."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from kabao.adapters.line import Answer, Line
from kabao.funding.model.answers import Unreachable
from kabao.notices.ports import Handed

YUNPIAN = "https://sms.yunpian.com"
SEND = "/v2/sms/single_send.json"
FORM = {"content-type": "application/x-www-form-urlencoded;charset=utf-8"}

TAKEN = 0
"""Their code for a text that is on its way. Positive codes are refusals of the request,
negative ones trouble of theirs or of the account."""

_OK, _BAD_REQUEST = 200, 400


class _Said(msgspec.Struct):
    code: int


class Yunpian:
    """The gateway with our key. `Phones` of notices."""

    def __init__(self, line: Line, key: str) -> None:
        self._line, self._key = line, key

    async def send(self, phone: str, text: str, reference: str) -> Handed:
        """One text; `reference` comes back in their reports."""
        form = {"apikey": self._key, "mobile": phone, "text": text}
        if reference:
            form["uid"] = reference
        said = await self._line.ask("POST", SEND, headers=FORM, content=urlencode(form).encode())
        if isinstance(said, Unreachable):
            return Handed.UNREACHABLE
        if not isinstance(said, Answer) or said.status not in (_OK, _BAD_REQUEST):
            return Handed.UNKNOWN
        try:
            code = msgspec.json.decode(said.body, type=_Said).code
        except msgspec.DecodeError:
            return Handed.UNKNOWN
        if said.status == _OK:
            return Handed.ACCEPTED if code == TAKEN else Handed.UNKNOWN
        return Handed.REFUSED
