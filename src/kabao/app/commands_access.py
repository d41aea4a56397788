"""`kabao access bootstrap`: the first people of an installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from kabao.access.model import Role, founding
from kabao.app.commands_base import Json, answer, example, secret_file, with_platform
from kabao.app.composition import Kabao
from kabao.base.ids import from_edge, to_edge
from kabao.org.model import IssuerType, Jurisdiction, NewCompany

access = typer.Typer(help="People and keys.", no_args_is_help=True)


class Founded(msgspec.Struct, frozen=True):
    """A person of the first hour: an invitation to enrol with, and an API key."""

    login: str
    operator: str
    invitation: str
    key: str

    def __repr__(self) -> str:
        return f"Founded({self.login})"


class Bootstrapped(msgspec.Struct, frozen=True):
    """The company and its first people."""

    company: str
    people: list[Founded]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(access, name="access")


@access.callback()
def group() -> None:
    """People and keys."""


@access.command(
    epilog=example(
        "kabao access bootstrap --company 'Example Retail Group' --out founders.json",
        "kabao access bootstrap --company com_0190… --role admin --role approver --role operator",
    )
)
def bootstrap(
    *,
    company: Annotated[
        str, typer.Option(help="The name of the first company, or com_… if there is one already.")
    ],
    jurisdiction: Annotated[
        Jurisdiction, typer.Option(help="Of a new company: whose local rules hold besides.")
    ] = Jurisdiction.NATIONAL,
    role: Annotated[
        list[Role] | None,
        typer.Option(help="A person for this role; may be given again. Left out: admin, approver."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the secrets into this new file, not on the screen.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the first people, one for each role, before whom nobody could agree to anybody.

    Each gets an invitation, to choose a password with, and an API key. Both are
    shown this once. It works once: whoever comes later is invited by two people.
    """
    roles = tuple(dict.fromkeys(role or ()))

    async def work(kabao: Kabao) -> Bootstrapped:
        async with kabao.db.transaction() as conn:
            if company.startswith("com_"):
                ident = from_edge("com", company)
            else:
                new = NewCompany(
                    name=company, issuer_type=IssuerType.GROUP, jurisdiction=jurisdiction
                )
                ident = (await kabao.org.add_company(conn, new)).id
            founders = await kabao.access.bootstrap(conn, founding(ident, *roles))
            people = [
                Founded(one.login, to_edge("opr", one.operator), one.invitation, one.key)
                for one in founders
            ]
            made = Bootstrapped(to_edge("com", ident), people)
            if out is not None:  # before the commit: secrets that were lost cannot be had again
                with secret_file(out) as file:
                    file.write(msgspec.json.format(msgspec.json.encode(made)).decode() + "\n")
            return made

    made = with_platform(work, make=True)
    if out is not None:
        told = {"company": made.company, "people": [one.login for one in made.people]}
        names = ", ".join(one.login for one in made.people)
        answer(told, f"{names} of {made.company}; their secrets are in {out}.", as_json=as_json)
        return
    lines = [f"The company is {made.company}. This is shown once:"]
    for one in made.people:
        lines += ["", f"[bold]{one.login}[/bold]  {one.operator}"]
        lines += [f"  invitation  {one.invitation}", f"  API key     {one.key}"]
    answer(made, "\n".join(lines), as_json=as_json)
