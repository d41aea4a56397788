"""The simplest router: the first channel by priority that may take it."""

from __future__ import annotations

from collections.abc import Sequence

from kabao.base.db import Conn
from kabao.base.errors import Code
from kabao.funding.model.channels import Channel
from kabao.funding.model.collections import (
    CHANNEL_LIMIT,
    CHANNEL_NOT_AVAILABLE,
    CHANNEL_NOT_CONFIGURED,
    SOURCE_NOT_ALLOWED,
    Ask,
    Choice,
    Outcome,
)
from kabao.funding.ops.channels import Channels


class First:
    """Implements `kabao.funding.ports.Router` without learning anything."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def choose(
        self, conn: Conn, ask: Ask, *, collection: str, tried: Sequence[str]
    ) -> Choice:
        """See `Router.choose`."""
        del conn, collection
        named = [
            c
            for c in self._channels.of(ask.company)
            if ask.channel is None or c.called(ask.channel)
        ]
        serving = [c for c in named if c.serves(ask.purpose, ask.scene)]
        if not serving:
            raise CHANNEL_NOT_CONFIGURED.error(rule="S-09", field="channel")
        refusals: list[tuple[Code, str]] = []
        for channel in serving:
            refusal = self._refusal(channel, ask, tried)
            if refusal is None:
                return Choice(channel.id)
            refusals.append(refusal)
        code, rule = (
            refusals[0] if len({c for c, _ in refusals}) == 1 else (CHANNEL_NOT_AVAILABLE, "S-16")
        )
        raise code.error(rule=rule, field="channel")

    def _refusal(self, channel: Channel, ask: Ask, tried: Sequence[str]) -> tuple[Code, str] | None:
        adapter = self._channels.adapter(channel.id)
        if not channel.active or channel.id in tried or adapter is None:
            return CHANNEL_NOT_AVAILABLE, "S-16"
        if ask.no_credit and not adapter.capabilities.no_credit:
            return SOURCE_NOT_ALLOWED, "ruling 16"
        if not channel.min_fen <= ask.amount_fen <= (channel.max_fen or ask.amount_fen):
            return CHANNEL_LIMIT, "S-09"
        return None

    async def tell(self, conn: Conn, channel_id: str, outcome: Outcome, took_ms: int) -> None:
        """See `Router.tell`."""
        del conn, channel_id, outcome, took_ms
