"""`python -m kabao_sandbox wechat-account`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from kabao_sandbox.party.chance import Chance
from kabao_sandbox.wechat_templates.server import Account


def account_command(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for a free one.")] = 0,
    desk: Annotated[int, typer.Option(min=0, max=65535, help="0 for a free one.")] = 0,
    app_id: Annotated[str, typer.Option(help="KABAO_WECHAT_APP_ID.")] = "wxsandbox",
    secret: Annotated[str, typer.Option(help="KABAO_WECHAT_APP_SECRET.")] = "sandbox",  # noqa: S107 -- of a sandbox
    follower: Annotated[list[str] | None, typer.Option(help="An openid; may be repeated.")] = None,
    template: Annotated[
        list[str] | None, typer.Option(help="ID:field,field; may be repeated.")
    ] = None,
) -> None:
    """Be a WeChat official account until interrupted.

    The desk shows what followers got (GET /, GET /messages) and orders faults (PUT /faults).
    """
    account = Account(Chance(1), app_id, secret)
    account.followers.update(follower or [])
    for line in template or []:
        name, _, fields = line.partition(":")
        account.templates[name] = set(fields.split(","))
    asyncio.run(_serve(account, port, desk))


async def _serve(account: Account, port: int, desk: int) -> None:
    await account.start(port, desk)
    typer.echo(f"WeChat account: {account.url}, desk {account.desk_url}")
    try:
        await asyncio.Event().wait()
    finally:
        await account.stop()
