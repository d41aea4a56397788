"""`kabao policy show`: which rules hold, and why."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import msgspec
import typer

from kabao.app.commands_base import Json, answer, example, prepare, with_platform
from kabao.app.composition import Kabao
from kabao.base.clock import BusinessDays, RealClock
from kabao.base.errors import INVALID
from kabao.base.ids import from_edge
from kabao.policy.ops import NATIONAL, Policy
from kabao.policy.wording import Explained

WIDEST = 160

policy = typer.Typer(help="Law and limits: what holds, and why.", no_args_is_help=True)


class Shown(msgspec.Struct, frozen=True):
    """What holds on a day."""

    jurisdiction: str
    programme: str | None
    on: date
    rules: list[Explained]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(policy, name="policy")


@policy.callback()
def group() -> None:
    """Law and limits: what holds, and why."""


@policy.command(
    epilog=example(
        "kabao policy show --programme prg_0190… --on 2026-11-22",
        "kabao policy show --jurisdiction shanghai --name card_return",
    )
)
def show(
    *,
    programme: Annotated[
        str | None, typer.Option(metavar="PRG", help="A programme, with its own limits.")
    ] = None,
    jurisdiction: Annotated[
        str | None, typer.Option(help="Without a programme: a pack such as national or beijing.")
    ] = None,
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day; today if left out.")
    ] = None,
    name: Annotated[str, typer.Option(help="Only rules whose name begins like this.")] = "",
    as_json: Json = False,
) -> None:
    """Print what holds on a day: each rule, its value, its text, and why it and no other."""
    day = on.date() if on is not None else None
    if programme is not None and jurisdiction is not None:
        raise INVALID.error("A programme has its jurisdiction: give one of the two.")
    if programme is not None:
        shown = _of_programme(programme, day)
    else:
        shown = _of_jurisdiction(jurisdiction or NATIONAL, day)
    rules = [rule for rule in shown.rules if rule.name.startswith(name)]
    if not rules:
        raise INVALID.error(f"No rule's name begins with {name}.")
    shown = msgspec.structs.replace(shown, rules=rules)
    answer(shown, _text(shown), as_json=as_json)


def _of_programme(programme: str, on: date | None) -> Shown:
    ident = from_edge("prg", programme)

    async def look(kabao: Kabao) -> Shown:
        async with kabao.db.read() as conn:
            found = await kabao.cards.find_programme(conn, ident)
        day = on or kabao.cards.today(found)
        rules = kabao.cards.rules_of(found, day)
        return Shown(rules.jurisdiction, programme, day, kabao.policy.explained(rules))

    return with_platform(look)


def _of_jurisdiction(jurisdiction: str, on: date | None) -> Shown:
    """Packs are files: this needs no database."""
    settings, clock = prepare(), RealClock()
    packs = Policy.load(clock, [settings.policy_dir] if settings.policy_dir else [])
    days = BusinessDays(settings.timezone, settings.business_day_cutoff)
    day = on or days.of(clock.now_us())
    return Shown(jurisdiction, None, day, packs.explain(jurisdiction=jurisdiction, on=day))


def _text(shown: Shown) -> str:
    whose = f"programme {shown.programme}, " if shown.programme else ""
    lines = [f"[bold]{whose}{shown.jurisdiction}, on {shown.on}[/bold]", ""]
    for rule in shown.rules:
        parts = (_short(rule.shown), rule.row, rule.article, rule.standing)
        lines.append(f"[bold]{rule.name}[/bold]   " + "   ".join(_plain(p) for p in parts if p))
        lines.append(f"    {_plain(_short(rule.why))}")
        lines += [f"    bound: {_plain(_short(bound))}" for bound in rule.bounds]
    return "\n".join(lines)


def _short(text: str) -> str:
    """Long lists are told whole with --json."""
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}…"


def _plain(text: str) -> str:
    """Text that Rich is not to read as markup."""
    return text.replace("[", r"\[")
