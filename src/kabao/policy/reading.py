"""Pack files: TOML to `Pack`, and every mistake in one clear line."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from kabao.base.errors import KabaoError
from kabao.policy.book import MAX_TEXT, Book, Pack, PackKind, allows, bind, problem
from kabao.policy.model import BAD_POLICY, Bound, Row, Standing, Unit, Value
from kabao.policy.names import KINDS, Kind

SHIPPED = ("platform", "national", "beijing", "shanghai")
MAX_FILE_BYTES = 1_000_000

ROW_ID = (
    r"^([ABCKLPRSTX]-\d{2}|(CR|MF)-\d{2}|CX\d{1,2}|(ATK|AT|F)-\d{1,2}|[IV]-\d"
    r"|ruling \d{1,2}|design \d)$"
)
"""A requirement, a rule of law, a message format, a conflict with the law, an
attack, a test, a fault, an invariant, a vector, a ruling, a section of the design.
"""

Line = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
T = TypeVar("T")
PackName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


class _PackHead(msgspec.Struct, forbid_unknown_fields=True):
    name: PackName
    title: Line
    kind: PackKind
    inherits: PackName | None = None
    amends: PackName | None = None
    sources: dict[str, Line] = {}


class _RowBody(msgspec.Struct, forbid_unknown_fields=True):
    value: bool | int | str | list[str]
    unit: Unit
    row: Annotated[str, Meta(pattern=ROW_ID)]
    note: Line
    article: Line | None = None
    holds_from: date | None = msgspec.field(default=None, name="from")
    holds_until: date | None = msgspec.field(default=None, name="until")
    bound: Bound | None = None
    limit: bool | int | str | list[str] | None = None
    standing: Standing | None = None


def load(extra: Sequence[Path] = ()) -> Book:
    """The shipped packs and those of the given files and folders, as one book.

    Raises `bad_policy`.
    """
    folder = resources.files("kabao.policy") / "packs"
    packs = [
        read(folder.joinpath(f"{name}.toml").read_text("utf-8"), f"{name}.toml") for name in SHIPPED
    ]
    for path in extra:
        files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        packs += [_read_file(file) for file in files]
    return bind(packs)


def _read_file(path: Path) -> Pack:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BAD_POLICY.error(f"{path}: a pack is never larger than {MAX_FILE_BYTES} bytes.")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise BAD_POLICY.error(f"{path}: cannot be read: {unreadable}.") from unreadable
    return read(text, str(path))


def read(text: str, file: str) -> Pack:
    """One pack. `file` is what mistakes are reported against. Raises `bad_policy`."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise BAD_POLICY.error(f"{file}: {wrong}.") from wrong
    finder = _Finder(text, file)
    head = _head(content, finder)
    seen: Counter[str] = Counter()
    rows = []
    for name, table in _tables(content, finder):
        rows.append(_row(name, table, head, _Place(finder, name, seen[name])))
        seen[name] += 1
    return Pack(
        head.name,
        head.title,
        head.kind,
        head.inherits,
        head.amends,
        head.sources,
        tuple(rows),
        file,
    )


class _Finder:
    """Finds the line a key stands in; the TOML parser does not say."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self._lines = text.splitlines()
        self._heads: dict[str, list[int]] = {}
        for number, line in enumerate(self._lines, 1):
            if head := re.match(r"\s*\[\[?\s*([\w.\"' -]+?)\s*\]\]?", line):
                self._heads.setdefault(re.sub(r"[\s\"']", "", head[1]), []).append(number)

    def line(self, head: str, index: int = 0, key: str | None = None) -> str:
        """`file:line` of the index-th `[[head]]`, or of a key beneath it."""
        numbers = self._heads.get(head, [])
        if index >= len(numbers):
            return self.file
        start = numbers[index]
        if key is not None:
            for number, line in enumerate(self._lines[start:], start + 1):
                if line.lstrip().startswith("["):
                    break
                if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
                    return f"{self.file}:{number}"
        return f"{self.file}:{start}"


class _Place:
    """Where a row stands, and how to complain about it."""

    def __init__(self, finder: _Finder, name: str, index: int) -> None:
        self._finder, self._name, self._index = finder, name, index

    def where(self, key: str | None = None) -> str:
        return self._finder.line(self._name, self._index, key)

    def wrong(self, what: str, key: str | None = None) -> KabaoError:
        return BAD_POLICY.error(f"{self.where(key)}: {self._name}: {what}.")


def _head(content: Mapping[str, Any], finder: _Finder) -> _PackHead:
    place = _Place(finder, "pack", 0)
    if "pack" not in content:
        raise BAD_POLICY.error(f"{finder.file}: the table [pack] is missing.")
    head = _convert(content["pack"], _PackHead, place)
    if head.kind is PackKind.LAW and (head.inherits is None) == (head.amends is None):
        raise place.wrong("a pack of law says either what it inherits from or what it amends")
    if head.kind is PackKind.HOUSE and head.inherits is not None:
        raise place.wrong("a house pack inherits from nothing", "inherits")
    return head


def _tables(content: Mapping[str, Any], finder: _Finder) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every `[[rule.name]]` of the file, in order of names."""
    waiting: list[tuple[str, Any]] = [(key, content[key]) for key in content if key != "pack"]
    waiting.reverse()
    while waiting:
        name, found = waiting.pop()
        if isinstance(found, dict):
            waiting += [(f"{name}.{key}", found[key]) for key in reversed(found)]
        elif isinstance(found, list) and all(isinstance(table, dict) for table in found):
            yield from ((name, table) for table in found)
        else:
            parent, _, key = name.rpartition(".")
            raise BAD_POLICY.error(
                f"{finder.line(parent, 0, key)}: {name} is no rule: rules are written [[{name}]]."
            )


def _row(name: str, table: dict[str, Any], head: _PackHead, place: _Place) -> Row:
    kind = KINDS.get(name)
    if kind is None:
        near = difflib.get_close_matches(name, KINDS, 1)
        raise place.wrong(f"there is no such rule{f'; is {near[0]} meant?' if near else ''}")
    body = _convert(table, _RowBody, place)
    if body.unit.kind is not kind:
        raise place.wrong(f"{body.unit} is no unit for a rule of kind {kind}", "unit")
    value = _checked(name, body.unit, body.value, place, "value")
    standing = body.standing or Standing.HOUSE
    if head.kind is PackKind.LAW:
        _check_law(body, head, place)
    if body.limit is not None and body.bound in (None, Bound.FIXED):
        raise place.wrong("a limit needs a bound of min or max", "limit")
    if kind is Kind.TEXT and body.bound in (Bound.MIN, Bound.MAX):
        raise place.wrong("a text can only be fixed", "bound")
    if body.holds_from and body.holds_until and body.holds_until < body.holds_from:
        raise place.wrong("until lies before from", "until")
    row = Row(
        name=name,
        value=value,
        unit=body.unit,
        row=body.row,
        article=body.article or "",
        holds_from=body.holds_from or date.min,
        holds_until=body.holds_until,
        bound=body.bound,
        limit=value
        if body.limit is None
        else _checked(name, body.unit, body.limit, place, "limit"),
        standing=standing,
        note=body.note,
        pack=head.name,
        where=place.where(),
    )
    if not allows(row, value):
        raise place.wrong("the value is beyond its own limit", "limit")
    return row


def _checked(name: str, unit: Unit, raw: int | str | list[str], place: _Place, key: str) -> Value:
    value = tuple(raw) if isinstance(raw, list) else raw
    wrong = problem(name, unit, value)
    if wrong is not None:
        raise place.wrong(wrong, key)
    return value


def _check_law(body: _RowBody, head: _PackHead, place: _Place) -> None:
    """Law has a text, a day it holds from, and somebody who read it."""
    missing = [
        key
        for key, value in (
            ("article", body.article),
            ("from", body.holds_from),
            ("standing", body.standing),
        )
        if value is None
    ]
    if missing:
        raise place.wrong(f"a row of law needs {' and '.join(missing)}")
    assert body.article is not None
    if body.article.partition(" ")[0] not in head.sources:
        raise place.wrong("the article begins with none of [pack.sources]", "article")
    if body.standing is Standing.HOUSE:
        raise place.wrong("a row of law cannot stand on the house's word", "standing")


def _convert(table: object, kind: type[T], place: _Place) -> T:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as wrong:
        told = str(wrong)
        key = re.search(r"\$\.(\w+)", told) or re.search(r"unknown field `(\w+)`", told)
        told = re.sub(r" - at `.*`$", "", told)
        told = re.sub(r"Object missing required field (.*)", r"\1 is missing", told)
        told = told.replace("Object contains unknown field", "there is no field")
        raise place.wrong(told, key and key[1]) from wrong
