"""Every account that a party hands out makes a channel, and what is no account makes none."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from kabao.app.channels import Lines, makers
from kabao.base.clock import FixedClock
from kabao.funding.model.answers import Scene
from kabao.funding.model.channels import Channel, ChannelConfig, ChannelState
from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Host

from .world import key_pool


def config(host: Host, account: dict[str, Any]) -> ChannelConfig:
    channel = Channel(
        name="x",
        kind=host.party.kind,
        scenes=tuple(Scene(scene) for scene in host.party.scenes),
        id="0" * 32,
        company="0" * 32,
        state=ChannelState.ACTIVE,
        revision=1,
        created_at=datetime.fromisoformat("2026-11-22T00:00:00+08:00"),
    )
    return ChannelConfig(channel, account, 300)


@pytest.mark.parametrize("name", PARTIES)
async def test_every_party_is_a_kind_of_channel(name: str, clock: FixedClock) -> None:
    host, lines = Host(PARTIES[name](clock.now_us, Chance(1), key_pool()), Chance(2)), Lines()
    await host.start()
    made = makers(lines, clock)
    try:
        account = host.account()
        channel = made[host.party.kind](config(host, account))
        offered = channel.capabilities.scenes
        assert offered == {Scene(scene) for scene in host.party.scenes}
        for missing in account.keys() - {"url", "gateway", "files", "tables"}:
            less = {key: value for key, value in account.items() if key != missing}
            with pytest.raises((KeyError, ValueError, TypeError)):
                made[host.party.kind](config(host, less))
    finally:
        await host.stop()
        await lines.close()


@pytest.mark.parametrize("name", ["wechat", "unionpay", "acquirer"])
async def test_a_contract_may_bar_credit(name: str, clock: FixedClock) -> None:
    """They cannot be asked for it by order."""
    host, lines = Host(PARTIES[name](clock.now_us, Chance(1), key_pool()), Chance(2)), Lines()
    await host.start()
    make = makers(lines, clock)[host.party.kind]
    try:
        for said, bars in ({}, False), ({"debit_only": True}, True), ({"debit_only": "no"}, False):
            channel = make(config(host, host.account() | said))
            assert channel.capabilities.no_credit is bars
    finally:
        await host.stop()
        await lines.close()
