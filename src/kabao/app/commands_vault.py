"""`kabao vault status | rotate | retire`: keys (docs/operating/keys.md)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.progress import TaskID

from kabao.access.model import Deed
from kabao.app.commands_base import (
    FAILED,
    Json,
    answer,
    console_user,
    example,
    progress,
    with_platform,
)
from kabao.app.composition import Kabao
from kabao.app.sealed import CARD_KEYS, SEALED
from kabao.base.clock import rfc3339
from kabao.cards.model import last_day
from kabao.policy import names
from kabao.vault.model import KeyInfo, KeyKind, Progress, Rotated, Status
from kabao.vault.ops import Rotation

vault = typer.Typer(help="Keys: what there is, rotation, retirement.", no_args_is_help=True)
CardKey = Annotated[
    bool, typer.Option("--card-key", help="The master key of card values, not the KEK.")
]
Signature = Annotated[bool, typer.Option("--signature", help="The key that signs evidence.")]
T = TypeVar("T")


class VaultStatus(Status, frozen=True):
    """The keys, and whether the cards' master key is older than policy lets it be."""

    card_key_due: bool


class Key(msgspec.Struct, frozen=True):
    """A version of a key."""

    kind: KeyKind
    version: int


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(vault, name="vault")


@vault.callback()
def group() -> None:
    """Keys: what there is, rotation, retirement."""


@vault.command(epilog=example("kabao vault status", "kabao vault status --json"))
def status(*, as_json: Json = False) -> None:
    """Show the keys, never their material, and how many sealed values are under which."""
    told = _rotating(_status)
    answer(told, _text(told), as_json=as_json)


@vault.command(epilog=example("kabao vault rotate", "kabao vault rotate --card-key"))
def rotate(
    *, card_key: CardKey = False, signature: Signature = False, as_json: Json = False
) -> None:
    """Add a key version and bring every sealed value under it, while payments go on.

    Broken off, it is finished by the next run, which then adds no further
    version. Ends with status 1 when values are left or do not open.
    """
    if card_key:
        made = _rotating(_rotate_card_key)
        answer(made, f"New cards get values of card value key {made.version}.", as_json=as_json)
        return
    if signature:
        made = _rotating(_rotate_signature)
        answer(made, f"Evidence is signed with key {made.version} now.", as_json=as_json)
        return
    done = _rotating(lambda rotation, kabao: _rotate(rotation, kabao, as_json=as_json))
    how = "Added" if done.added else "Finished the rotation to"
    lines = [
        f"{how} KEK version {done.kek}: {done.rewrapped:,} re-wrapped, {done.left:,} left, "
        f"{done.broken:,} broken."
    ]
    lines += [f"  does not open: {place}" for place in done.broken_at]
    if done.left:
        lines.append("  Some were in use or sealed meanwhile. Run it once more in a minute.")
    answer(done, "\n".join(lines), as_json=as_json)
    if done.broken or done.left:
        raise typer.Exit(FAILED)


@vault.command(epilog=example("kabao vault retire 1", "kabao vault retire 1 --card-key"))
def retire(
    version: Annotated[int, typer.Argument(min=1, help="The version to destroy.")],
    *,
    card_key: CardKey = False,
    as_json: Json = False,
) -> None:
    """Destroy an old key version; refused while anything still needs it.

    Back-ups of the database from before the rotation need it: keep a copy of
    the key file as long as those. One-time secrets that can still be shown
    again are not moved by a rotation; they are gone after 24 hours.
    """
    kind = KeyKind.CARD_VALUE if card_key else KeyKind.KEK

    async def work(rotation: Rotation, kabao: Kabao) -> Key:
        await (rotation.retire_card_key(version) if card_key else rotation.retire(version))
        await _note(kabao, "vault:retire", f"{kind} {version}")
        return Key(kind, version)

    retired = _rotating(work)
    answer(retired, f"{kind} version {version} is destroyed.", as_json=as_json)


def _rotating(work: Callable[[Rotation, Kabao], Awaitable[T]]) -> T:
    async def run(kabao: Kabao) -> T:
        rotation = Rotation(kabao.db, kabao.vault, kabao.clock, SEALED, CARD_KEYS)
        return await work(rotation, kabao)

    return with_platform(run)


async def _rotate(rotation: Rotation, kabao: Kabao, *, as_json: bool) -> Rotated:
    with progress(as_json=as_json) as bar:
        tasks: dict[str, TaskID] = {}

        def show(at: Progress) -> None:
            if at.column not in tasks:
                tasks[at.column] = bar.add_task(at.column)
            bar.update(tasks[at.column], completed=at.done, total=at.total)

        done = await rotation.rotate(show)
    await _note(kabao, "vault:rotate", f"{KeyKind.KEK} {done.kek}")
    return done


async def _rotate_card_key(rotation: Rotation, kabao: Kabao) -> Key:
    version = await rotation.rotate_card_key()
    await _note(kabao, "vault:rotate", f"{KeyKind.CARD_VALUE} {version}")
    return Key(KeyKind.CARD_VALUE, version)


async def _rotate_signature(rotation: Rotation, kabao: Kabao) -> Key:
    version = await rotation.rotate_signature()
    await _note(kabao, "vault:rotate", f"{KeyKind.SIGNATURE} {version}")
    return Key(KeyKind.SIGNATURE, version)


async def _note(kabao: Kabao, verb: str, subject: str) -> None:
    async with kabao.db.transaction() as conn:
        await kabao.diary.on_console(conn, Deed(verb=verb, subject=subject), console_user())


async def _status(rotation: Rotation, kabao: Kabao) -> VaultStatus:
    told = await rotation.status()
    return VaultStatus(**msgspec.structs.asdict(told), card_key_due=_card_key_due(kabao, told))


def _card_key_due(kabao: Kabao, told: Status) -> bool:
    """Whether new cards should get values of a new master key by now (P-22)."""
    today = kabao.days.of(kabao.clock.now_us())
    rules = kabao.policy.rules(jurisdiction="national", on=today)
    made_us = max(k.created_at_us for k in told.keys if k.kind is KeyKind.CARD_VALUE)
    until = last_day(kabao.days.of(made_us), rules.int(names.CARD_KEY_ROTATION_MONTHS))
    return until is not None and today > until


def _text(told: VaultStatus) -> str:
    lines = [
        f"New values: {told.suite}, KEK {told.kek}. New cards: card value key {told.card_key}.",
        *(["Due: kabao vault rotate --card-key"] if told.card_key_due else []),
        "",
        *(_key_line(key) for key in told.keys),
    ]
    if told.usage:
        lines.append("")
    for use in told.usage:
        under = f"KEK {use.kek}" if use.kek is not None else "not sealed"
        lines.append(f"{use.column:<40} {under:>10} {use.count:>14,}")
    return "\n".join(lines)


def _key_line(key: KeyInfo) -> str:
    since, end = rfc3339(key.created_at_us)[:19], key.check_value
    if key.retired_at_us is not None:
        end = f"retired {rfc3339(key.retired_at_us)[:19]}"
    return f"{key.kind:<12} {key.version:>3}  {key.algorithm:<12} since {since}  {end}"
