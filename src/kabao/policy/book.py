"""Packs bound into one book, checked as a whole, and read by day: pure.

The most specific pack with a row in force wins; a bound set by any pack
beneath it still binds, so a city may tighten what the country says and a
programme what either says, never the other way.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

import msgspec

from kabao.base.money import MAX_FEN
from kabao.policy.model import (
    BAD_OVERRIDE,
    BAD_POLICY,
    COVERED_FROM,
    LOOSENED,
    UNKNOWN_JURISDICTION,
    Bound,
    Row,
    Rules,
    Settled,
    Unit,
    Value,
)
from kabao.policy.names import CHOICES, KINDS, Kind
from kabao.policy.wording import bound_in_words, cited, shown

MAX_ITEMS, MAX_TEXT = 200, 200
"""Limits of a list rule and of a text."""

DAY = timedelta(days=1)
NO_OVERRIDES: Mapping[str, object] = MappingProxyType({})


class PackKind(StrEnum):
    """Whose word a pack is."""

    LAW = "law"
    HOUSE = "house"


class Pack(msgspec.Struct, frozen=True):
    """One file of rows.

    A pack opens a layer that `inherits` from another, or `amends` one: then its
    rows join that layer under its own name. `sources` titles the abbreviations
    its articles begin with.
    """

    name: str
    title: str
    kind: PackKind
    inherits: str | None
    amends: str | None
    sources: Mapping[str, str]
    rows: tuple[Row, ...]
    where: str


class Book(msgspec.Struct, frozen=True):
    """All packs. `chains` lists each jurisdiction's layers, most specific first;
    `edges` the days on which something changes there, the first being `date.min`.
    """

    packs: Mapping[str, Pack]
    layers: Mapping[str, Mapping[str, tuple[Row, ...]]]
    chains: Mapping[str, tuple[str, ...]]
    edges: Mapping[str, tuple[date, ...]]

    def segment(self, jurisdiction: str, on: date) -> int:
        """Which stretch of unchanged rules a day falls into.

        Raises `unknown_jurisdiction`.
        """
        edges = self.edges.get(jurisdiction)
        if edges is None:
            known = ", ".join(sorted(self.chains))
            raise UNKNOWN_JURISDICTION.error(
                f"There is no policy pack {jurisdiction}; there are {known}.", field="jurisdiction"
            )
        return bisect_right(edges, on) - 1

    def resolve(
        self,
        jurisdiction: str,
        on: date,
        overrides: Mapping[str, object] = NO_OVERRIDES,
        *,
        lapse: bool = False,
    ) -> Rules:
        """The rules of that day.

        Raises `unknown_jurisdiction`, `bad_policy_override` and, unless values
        beyond a bound are to `lapse`, `policy_loosened`.
        """
        segment = self.segment(jurisdiction, on)
        edges = self.edges[jurisdiction]
        settled = {}
        for name in KINDS:
            stack = self.stack(jurisdiction, name, on)
            if stack:
                settled[name] = Settled(stack[0].value, stack[0], stack[1:])
        for name, value in overrides.items():
            if name not in settled:
                raise BAD_OVERRIDE.error(f"There is no rule {name}.", field=name)
            settled[name] = override(settled[name], value, lapse=lapse)
        return Rules(
            jurisdiction=jurisdiction,
            holds_from=edges[segment],
            holds_until=edges[segment + 1] - DAY if segment + 1 < len(edges) else None,
            settled=MappingProxyType(settled),
        )

    def stack(self, jurisdiction: str, name: str, on: date) -> tuple[Row, ...]:
        """The rows of a name in force on a day, most specific first."""
        return tuple(
            row
            for layer in self.chains[jurisdiction]
            for row in self.layers[layer].get(name, ())
            if row.holds(on)
        )


def override(settled: Settled, value: object, *, lapse: bool = False) -> Settled:
    """The programme's own value in place of the packs'.

    Raises `bad_policy_override` for a value of the wrong kind. For one beyond a
    bound it raises `policy_loosened`, naming the row, or lets it lapse.
    """
    name, unit = settled.row.name, settled.row.unit
    frozen = tuple(value) if isinstance(value, list) else value
    wrong = problem(name, unit, frozen)
    if wrong is not None:
        raise BAD_OVERRIDE.error(f"{name}: {wrong}.", field=name)
    assert isinstance(frozen, int | str | tuple)
    breached = next(
        (row for row in (settled.row, *settled.beneath) if not allows(row, frozen)), None
    )
    if breached is None:
        return msgspec.structs.replace(settled, value=frozen, by_programme=True)
    if lapse:
        return msgspec.structs.replace(settled, lapsed=frozen)
    raise LOOSENED.error(
        f"{name}: {shown(frozen, unit)} is not allowed to a programme; "
        f"{cited(breached)} asks for {bound_in_words(breached)}.",
        rule=breached.row,
        field=name,
    )


def allows(row: Row, value: Value) -> bool:
    """Whether a more specific value keeps within this row's bound."""
    if row.bound is None:
        return True
    if row.bound is Bound.FIXED:
        return value == row.limit
    low, high = (value, row.limit) if row.bound is Bound.MAX else (row.limit, value)
    if isinstance(low, tuple) and isinstance(high, tuple):
        return set(low) <= set(high)
    assert isinstance(low, int) and isinstance(high, int), "texts are bound by `fixed` alone"
    return low <= high


def problem(name: str, unit: Unit, value: object) -> str | None:
    """What is wrong with a value for this rule, or None."""
    match unit.kind:
        case Kind.INT | Kind.RATE:
            if type(value) is not int:
                return f"a whole number of {unit} is wanted"
            if not 0 <= value <= (31 if unit is Unit.DAY_OF_MONTH else MAX_FEN):
                return f"{value} {unit} is out of range"
            return None
        case Kind.FLAG:
            return None if type(value) is bool else "true or false is wanted"
        case Kind.TEXT:
            return _problem_of_text(name, unit, value)
        case Kind.TEXTS:
            return _problem_of_list(value)
        case _:
            assert_never(unit.kind)


def _problem_of_text(name: str, unit: Unit, value: object) -> str | None:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TEXT:
        return f"a text of 1 to {MAX_TEXT} characters is wanted"
    if unit is Unit.CLOCK and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        return "a time of day as HH:MM is wanted"
    choices = [choice.value for choice in CHOICES.get(name, ())]
    if choices and value not in choices:
        return f"one of {', '.join(choices)} is wanted"
    return None


def _problem_of_list(value: object) -> str | None:
    if not isinstance(value, tuple) or len(value) > MAX_ITEMS:
        return f"a list of at most {MAX_ITEMS} texts is wanted"
    if not all(isinstance(item, str) and 1 <= len(item) <= MAX_TEXT for item in value):
        return f"each item has to be a text of 1 to {MAX_TEXT} characters"
    if len(set(value)) != len(value):
        return "an item stands there twice"
    return None


def bind(packs: Sequence[Pack]) -> Book:
    """One book of all packs. Raises `bad_policy`, naming the row at fault."""
    by_name: dict[str, Pack] = {}
    for pack in packs:
        if pack.name in by_name:
            raise BAD_POLICY.error(
                f"{pack.where}: the pack {pack.name} is also in {by_name[pack.name].where}."
            )
        by_name[pack.name] = pack
    chains = {
        pack.name: _chain(pack, by_name)
        for pack in packs
        if pack.amends is None and pack.kind is PackKind.LAW
    }
    layers = _layers(by_name)
    _check_units(packs)
    edges = {
        name: _edges(row for layer in chain for rows in layers[layer].values() for row in rows)
        for name, chain in chains.items()
    }
    book = Book(by_name, layers, chains, edges)
    for jurisdiction in chains:
        _check(book, jurisdiction)
    return book


def _chain(pack: Pack, by_name: Mapping[str, Pack]) -> tuple[str, ...]:
    chain = [pack.name]
    parent = pack.inherits
    while parent is not None:
        if parent in chain:
            raise BAD_POLICY.error(f"{pack.where}: {pack.name} inherits from itself.")
        found = by_name.get(parent)
        if found is None or found.amends is not None:
            raise BAD_POLICY.error(f"{pack.where}: there is no pack {parent} to inherit from.")
        chain.append(parent)
        parent = found.inherits
    return tuple(chain)


def _layers(by_name: Mapping[str, Pack]) -> dict[str, dict[str, tuple[Row, ...]]]:
    gathered: dict[str, dict[str, list[Row]]] = {
        name: {} for name, pack in by_name.items() if pack.amends is None
    }
    for pack in by_name.values():
        layer = gathered.get(pack.amends or pack.name)
        if layer is None:
            raise BAD_POLICY.error(f"{pack.where}: there is no pack {pack.amends} to amend.")
        for row in pack.rows:
            layer.setdefault(row.name, []).append(row)
    return {
        name: {rule: _in_turn(rows) for rule, rows in layer.items()}
        for name, layer in gathered.items()
    }


def _in_turn(rows: list[Row]) -> tuple[Row, ...]:
    """One row after the other: each ends where the next begins, or before."""
    ordered = sorted(rows, key=lambda row: row.holds_from)
    for index, (row, successor) in enumerate(itertools.pairwise(ordered)):
        last = row.holds_until
        if row.holds_from == successor.holds_from or (last and last >= successor.holds_from):
            raise BAD_POLICY.error(
                f"{successor.where}: {row.name} overlaps with the row at {row.where}."
            )
        if last is None:
            ordered[index] = msgspec.structs.replace(row, holds_until=successor.holds_from - DAY)
    return tuple(ordered)


def _check_units(packs: Iterable[Pack]) -> None:
    first: dict[str, Row] = {}
    for pack in packs:
        for row in pack.rows:
            known = first.setdefault(row.name, row)
            if known.unit is not row.unit:
                raise BAD_POLICY.error(
                    f"{row.where}: {row.name} is in {row.unit} here "
                    f"and in {known.unit} at {known.where}."
                )


def _edges(rows: Iterable[Row]) -> tuple[date, ...]:
    days = {date.min}
    for row in rows:
        days.add(row.holds_from)
        if row.holds_until is not None and row.holds_until < date.max:
            days.add(row.holds_until + DAY)
    return tuple(sorted(days))


def _check(book: Book, jurisdiction: str) -> None:
    """Every name has a value from `COVERED_FROM` on, and no row loosens one beneath it."""
    for name in KINDS:
        rows = [
            row for layer in book.chains[jurisdiction] for row in book.layers[layer].get(name, ())
        ]
        for day in _edges(rows):
            stack = book.stack(jurisdiction, name, max(day, COVERED_FROM))
            if not stack:
                raise BAD_POLICY.error(
                    f"{book.packs[jurisdiction].where}: {name} has no value in {jurisdiction} "
                    f"on {max(day, COVERED_FROM).isoformat()}."
                )
            _check_bounds(book.stack(jurisdiction, name, day))


def _check_bounds(stack: tuple[Row, ...]) -> None:
    for index, row in enumerate(stack):
        for lower in stack[index + 1 :]:
            if not allows(lower, row.value):
                raise BAD_POLICY.error(
                    f"{row.where}: {row.name} may not be {shown(row.value, row.unit)}; "
                    f"{cited(lower)} asks for {bound_in_words(lower)}."
                )
