"""Rules told to people: values in words, what holds and why, what would change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import assert_never

import msgspec

from kabao.base.money import yuan
from kabao.policy.model import Bound, Row, Rules, Settled, Standing, Unit, Value


def shown(value: Value, unit: Unit) -> str:
    """`(500000, fen)` to `"5,000.00 yuan"`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value) or "nothing"
    if isinstance(value, str):
        return value
    match unit:
        case Unit.FEN:
            return f"{yuan(value)} yuan"
        case Unit.USD_CENTS:
            return f"{yuan(value)} USD"
        case Unit.BP:
            return f"{value // 100}.{value % 100:02d} %"
        case Unit.DAY_OF_MONTH:
            return f"day {value}" if value else "never"
        case Unit.COUNT:
            return f"{value:,}"
        case _:
            return f"{value:,} {unit}"


def cited(row: Row) -> str:
    """`"CR-12 (G25, national)"`."""
    return f"{row.row} ({', '.join(filter(None, (row.article, row.pack)))})"


def bound_in_words(row: Row) -> str:
    """`"at most 5,000.00 yuan"`; empty when there is no bound."""
    limit = shown(row.limit, row.unit)
    if row.unit is Unit.FLAG and row.bound is not None:
        return limit
    match row.bound:
        case Bound.MAX:
            return f"nothing besides {limit}" if row.unit is Unit.LIST else f"at most {limit}"
        case Bound.MIN:
            return f"at least {limit}"
        case Bound.FIXED:
            return f"exactly {limit}"
        case None:
            return ""
        case _:
            assert_never(row.bound)


class Explained(msgspec.Struct, frozen=True):
    """One line of `kabao policy show`: what holds, by which text, and why that one."""

    name: str
    value: Value
    shown: str
    unit: Unit
    row: str
    article: str
    source: str  # the title of the article's text
    pack: str
    holds_from: date | None  # None: always
    holds_until: date | None  # None: until further notice
    standing: Standing
    bounds: tuple[str, ...]
    why: str
    note: str


def explain(rules: Rules, sources: Mapping[str, Mapping[str, str]]) -> list[Explained]:
    """Everything that holds, by name. `sources` gives, per pack, titles by abbreviation."""
    return [_explained(name, settled, sources) for name, settled in sorted(rules.settled.items())]


def _explained(name: str, settled: Settled, sources: Mapping[str, Mapping[str, str]]) -> Explained:
    row = settled.row
    title = sources.get(row.pack, {}).get(row.article.partition(" ")[0], "")
    return Explained(
        name=name,
        value=settled.value,
        shown=shown(settled.value, row.unit),
        unit=row.unit,
        row=row.row,
        article=row.article,
        source=title,
        pack=settled.pack,
        holds_from=None if row.holds_from == date.min else row.holds_from,
        holds_until=row.holds_until,
        standing=row.standing,
        bounds=tuple(
            f"{bound_in_words(each)}: {cited(each)}"
            for each in (row, *settled.beneath)
            if each.bound is not None
        ),
        why=_why(settled),
        note=row.note,
    )


def _why(settled: Settled) -> str:
    row = settled.row
    over = settled.beneath
    if settled.by_programme:
        why, over = "set by the programme", (row, *over)
    elif row.holds_from == date.min:
        why = row.pack
    else:
        why = f"{row.pack} since {row.holds_from.isoformat()}"
    if over:
        told = (f"{shown(each.value, each.unit)} by {cited(each)}" for each in over)
        why += f", in place of {'; '.join(told)}"
    if settled.lapsed is not None:
        why += (
            f"; the programme's {shown(settled.lapsed, row.unit)} has lapsed, being out of bounds"
        )
    return why


class Difference(msgspec.Struct, frozen=True):
    """A rule that two sets of rules answer differently. None: it has no value there."""

    name: str
    before: str | None
    after: str | None
    cited: str


def compare(before: Rules, after: Rules) -> list[Difference]:
    """What would change: values alone, by name."""
    found = []
    for name in sorted({*before.settled, *after.settled}):
        old, new = before.settled.get(name), after.settled.get(name)
        if old is not None and new is not None and old.value == new.value:
            continue
        newest = new or old
        assert newest is not None, "the name is in one of the two"
        found.append(Difference(name, _shown(old), _shown(new), cited(newest.row)))
    return found


def _shown(settled: Settled | None) -> str | None:
    return None if settled is None else shown(settled.value, settled.row.unit)
