"""How a party is started: `python -m kabao_sandbox alipay`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer

from kabao_sandbox.party import keys, moment
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Host, Party
from kabao_sandbox.party.moment import Now

Open = Callable[[Now, Chance, keys.New], Party]


def command(name: str, opened: Open) -> Callable[..., None]:
    """The command of a party."""

    def run(
        port: Annotated[int, typer.Option(min=0, max=65535, help="0 for a free one.")] = 0,
        desk: Annotated[int, typer.Option(min=0, max=65535, help="0 for a free one.")] = 0,
        seed: Annotated[int, typer.Option(min=0, help="The same seed, the same luck.")] = 1,
    ) -> None:
        asyncio.run(
            serve(opened(moment.real, Chance(seed), keys.new), port, desk, Chance(seed + 1))
        )

    run.__doc__ = (
        f"Be {name} until interrupted: its protocol at one port, its desk at another.\n\n"
        "The desk shows what came in (GET /), lets a payer pay (POST /orders/{no}/pay), hands "
        "out payers' codes (POST /codes), orders faults (PUT /faults) and errors in bills "
        "(PUT /bill-errors), and has the merchant's keys (GET /account)."
    )
    return run


async def serve(party: Party, port: int, desk: int, chance: Chance) -> None:
    """Until it is cancelled."""
    host = Host(party, chance)
    await host.start(port, desk)
    typer.echo(f"{party.name}: {host.url}, desk {host.desk_url}")
    try:
        await asyncio.Event().wait()
    finally:
        await host.stop()
