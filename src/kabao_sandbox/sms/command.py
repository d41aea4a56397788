"""`python -m kabao_sandbox sms`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from kabao_sandbox.party.chance import Chance
from kabao_sandbox.sms.server import Gateway


def sms_command(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for a free one.")] = 0,
    desk: Annotated[int, typer.Option(min=0, max=65535, help="0 for a free one.")] = 0,
    key: Annotated[str, typer.Option(help="What KABAO_SMS_KEY must be.")] = "sandbox",
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same luck.")] = 1,
) -> None:
    """Be an SMS gateway until interrupted.

    The desk shows what phones got (GET /, GET /texts) and orders faults (PUT /faults).
    """
    asyncio.run(_serve(Gateway(Chance(seed), key), port, desk))


async def _serve(gateway: Gateway, port: int, desk: int) -> None:
    await gateway.start(port, desk)
    typer.echo(f"SMS: {gateway.url}, desk {gateway.desk_url}")
    try:
        await asyncio.Event().wait()
    finally:
        await gateway.stop()
