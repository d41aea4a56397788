"""The platform's API as the demo's people use it, two of them where two must agree."""

from __future__ import annotations

import secrets
from typing import Any

import httpx

from kabao.base.errors import UNAVAILABLE
from kabao.simulation.chain import Keys


class Office:
    """Asks the platform; every answer but success ends the demo."""

    def __init__(self, client: httpx.AsyncClient, http: str, keys: Keys) -> None:
        self._client, self._http, self._keys = client, http, keys

    async def get(self, path: str, **query: Any) -> Any:
        """See something."""
        return (await self._ask("GET", path, self._keys.operator, query=query)).json()

    async def file(self, path: str, **query: Any) -> bytes:
        """Fetch a file."""
        return (await self._ask("GET", path, self._keys.operator, query=query)).content

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """Do something."""
        return (await self._ask("POST", path, self._keys.operator, body)).json()

    async def agreed(self, path: str, body: dict[str, Any]) -> Any:
        """Ask for something that a second person agrees to; what the approval brought about."""
        asked = await self.post(path, body)
        agree = f"approvals/{asked['id']}/approve"
        return (await self._ask("POST", agree, self._keys.approver, {})).json()

    async def _ask(
        self,
        method: str,
        path: str,
        token: str,
        body: dict[str, Any] | None = None,
        query: dict[str, Any] | None = None,
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": secrets.token_hex(16)}
        answer = await self._client.request(
            method, f"{self._http}/v1/{path}", json=body, headers=headers, params=query
        )
        if not answer.is_success:
            raise UNAVAILABLE.error(f"{method} /v1/{path} in the demo: {answer.text}")
        return answer
