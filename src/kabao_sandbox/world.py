"""`python -m kabao_sandbox world`: every party at once, in one process, behind one desk."""

from __future__ import annotations

import asyncio
import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party import keys, moment
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.faults import Faults
from kabao_sandbox.party.host import Host
from kabao_sandbox.party.http import Request, Response, Server
from kabao_sandbox.party.moment import Now
from kabao_sandbox.sms.server import Gateway
from kabao_sandbox.wechat_templates.server import Account

SMS_KEY, WECHAT_ACCOUNT = "sandbox", ("wxsandbox", "sandbox")
PORTS_EACH = 2
"""A party has its protocol at one port and its desk at the next."""


@dataclass(frozen=True)
class Played:
    """One party of the world."""

    name: str
    host: Host

    def shown(self) -> dict[str, Any]:
        """What a merchant needs to use it."""
        party = self.host.party
        return {
            "party": self.name,
            "kind": party.kind,
            "name": party.name,
            "url": self.host.url,
            "desk": self.host.desk_url,
            "fee_ppm": party.fee_ppm,
            "cycle": party.cycle,
            "scenes": party.scenes,
            "account": self.host.account(),
        }


class World:
    """Every party, and a page that leads to their desks."""

    def __init__(self, now: Now, seed: int) -> None:
        self._now = now
        self._parties = [
            Played(name, Host(opened(now, Chance(seed + at), keys.new), Chance(seed + at + 1)))
            for at, (name, opened) in enumerate(PARTIES.items())
        ]
        self._sms = Gateway(Chance(seed), SMS_KEY)
        self._account = Account(Chance(seed), *WECHAT_ACCOUNT)
        self._desk = Server(self._answer)

    async def start(self, port: int = 0) -> None:
        """The page at that port, the parties behind it; 0 for free ports everywhere."""
        await self._desk.start(port)
        hosts = (played.host for played in self._parties)
        every: list[Host | Gateway | Account] = [*hosts, self._sms, self._account]
        for at, one in enumerate(every):
            first = port and port + 1 + at * PORTS_EACH
            await one.start(first, first and first + 1)

    async def stop(self) -> None:
        """Close everything."""
        await self._desk.stop()
        await self._sms.stop()
        await self._account.stop()
        for played in self._parties:
            await played.host.stop()

    def shown(self) -> dict[str, Any]:
        """Addresses, terms and the merchant's accounts, with its keys."""
        sms, account = self._sms, self._account
        return {
            "desk": f"http://127.0.0.1:{self._desk.port}",
            "parties": [played.shown() for played in self._parties],
            "sms": {"url": sms.url, "desk": sms.desk_url, "key": sms.key},
            "wechat_account": {
                "url": account.url,
                "desk": account.desk_url,
                "app_id": account.app_id,
                "secret": account.secret,
            },
        }

    async def _answer(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/":
                return Response(200, self._page().encode(), "text/html; charset=utf-8")
            case "GET", "/world":
                return Response(200, _text(self.shown()).encode(), "application/json")
            case "PUT", "/clock" | "/clock/run" if isinstance(self._now, moment.Turned):
                turn = self._now.run if request.path.endswith("/run") else self._now.set
                try:
                    turn(msgspec.json.decode(request.body, type=int))
                except msgspec.MsgspecError as wrong:
                    return Response(400, str(wrong).encode())
                return Response(204)
            case "PUT", "/faults":
                try:
                    faults = msgspec.json.decode(request.body, type=Faults)
                except msgspec.MsgspecError as wrong:
                    return Response(400, str(wrong).encode())
                for played in self._parties:
                    played.host.order(faults)
                return Response(200, msgspec.json.encode(faults), "application/json")
        return Response(404, b"the world has no such place")

    def _page(self) -> str:
        lines = "".join(
            f"<tr><td><a href={one.host.desk_url}>{html.escape(one.host.party.name)}</a></td>"
            f"<td>{one.host.url}</td><td>{sum(1 for _ in one.host.party.book)}</td>"
            f"<td>{one.host.notifier.delivered}</td></tr>"
            for one in self._parties
        )
        return (
            "<!doctype html><title>The world</title><h1>The world (sandbox)</h1>"
            "<p>Each name leads to a desk: what came in, payers, faults, errors in bills. "
            "<code>PUT /faults</code> here orders faults everywhere, <code>PUT /clock</code> "
            "lets time stand at so many microseconds since 1970, <code>PUT /clock/run</code> lets "
            "it go on from there.</p><table>"
            "<tr><th>Party</th><th>Speaks at</th><th>Orders</th><th>Notices taken</th></tr>"
            f"{lines}</table><p>Phones: <a href={self._sms.desk_url}>texts</a>, "
            f"<a href={self._account.desk_url}>messages of the WeChat account</a></p>"
        )


def world_command(
    port: Annotated[
        int, typer.Option(min=0, max=65000, help="Of the page; the parties follow. 0: free ones.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option(help="A file for addresses and the merchant's accounts.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same luck.")] = 1,
) -> None:
    """Be every party at once until interrupted.

    The page at the port leads to every desk. Addresses, terms and the merchant's accounts
    with their keys go to the file, or are printed; GET /world has them as well.
    """
    asyncio.run(serve(World(moment.Turned(), seed), port, out))


async def serve(world: World, port: int, out: Path | None) -> None:
    """Until it is cancelled."""
    await world.start(port)
    try:
        _tell(world, out)
        await asyncio.Event().wait()
    finally:
        await world.stop()


def _tell(world: World, out: Path | None) -> None:
    shown = world.shown()
    if out is None:
        typer.echo(_text(shown))
        return
    out.touch(mode=0o600)  # the merchant's keys are in it
    out.write_text(_text(shown))
    for party in shown["parties"]:
        typer.echo(f"{party['name']}: {party['url']}, desk {party['desk']}")
    typer.echo(f"The world: {shown['desk']}, accounts in {out}")


def _text(shown: dict[str, Any]) -> str:
    return json.dumps(shown, ensure_ascii=False, indent=2)
