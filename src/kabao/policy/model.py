"""What a rule is, what `Rules` answer, and what a switch is.

How rows become rules is told in `book`, how they are told to people in
`wording`; both are as pure as this.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from datetime import date
from enum import StrEnum

import msgspec

from kabao.base import errors
from kabao.base.errors import code
from kabao.policy.choices import Scope, Switch, SwitchState
from kabao.policy.names import (
    FlagName,
    IntName,
    Kind,
    RateName,
    RuleName,
    TextName,
    TextsName,
)

BAD_POLICY = code("bad_policy", errors.Kind.INVALID, "A policy file is not usable.")
UNKNOWN_JURISDICTION = code(
    "unknown_jurisdiction", errors.Kind.INVALID, "There is no policy pack for this jurisdiction."
)
BAD_OVERRIDE = code(
    "bad_policy_override", errors.Kind.INVALID, "A programme's rule has no such name or value."
)
LOOSENED = code(
    "policy_loosened", errors.Kind.REFUSED, "A programme may tighten this rule, never loosen it."
)
NO_RULE = code(
    "no_rule_in_force", errors.Kind.INVALID, "No rule of that name was in force that day."
)
STOPPED = code("stopped", errors.Kind.REFUSED, "This is stopped for now.")
BAD_SWITCH = code("bad_switch", errors.Kind.INVALID, "The switch cannot be set like that.")
NOT_ALONE = code(
    "switch_needs_second_person", errors.Kind.REFUSED, "A second person has to agree to this."
)

COVERED_FROM = date(2020, 1, 1)
"""From this day on every name has a value; older contracts may find `no_rule_in_force`."""

PROGRAMME = "programme"
"""The pack name of a value that the programme itself set."""

Value = int | str | bool | tuple[str, ...]


class Unit(StrEnum):
    """What a value is counted in."""

    FEN = "fen"
    USD_CENTS = "usd_cents"
    BP = "bp"  # basis points: 1 is 0.01 %
    PPM = "ppm"
    COUNT = "count"
    DIGITS = "digits"
    CHARS = "chars"
    BITS = "bits"
    BYTES = "bytes"
    YEARS = "years"
    MONTHS = "months"
    DAYS = "days"
    WORKDAYS = "workdays"
    DAY_OF_MONTH = "day_of_month"
    HOURS = "hours"
    MINUTES = "minutes"
    SECONDS = "seconds"
    MS = "ms"
    FLAG = "flag"
    CLOCK = "clock"  # HH:MM, local
    CHOICE = "choice"
    TEXT = "text"
    LIST = "list"

    @property
    def kind(self) -> Kind:
        """What a value of this unit is in Python."""
        return _KINDS_OF_UNITS.get(self, Kind.INT)


_KINDS_OF_UNITS = {
    Unit.BP: Kind.RATE,
    Unit.FLAG: Kind.FLAG,
    Unit.CLOCK: Kind.TEXT,
    Unit.CHOICE: Kind.TEXT,
    Unit.TEXT: Kind.TEXT,
    Unit.LIST: Kind.TEXTS,
}


class Bound(StrEnum):
    """How a more specific value may differ from a row's limit.

    Numbers compare as numbers, flags with no < yes, lists as sets.
    """

    MAX = "max"
    MIN = "min"
    FIXED = "fixed"


class Standing(StrEnum):
    """How sure we are of a row."""

    VERIFIED = "verified"  # read in the text itself
    SECONDARY = "secondary"  # read on a page about it
    UNCONFIRMED = "unconfirmed"  # for a lawyer to look at
    HOUSE = "house"  # our own choice


class Row(msgspec.Struct, frozen=True):
    """One value of one rule, for a time. Days are inclusive at both ends."""

    name: str
    value: Value
    unit: Unit
    row: str  # the requirement, e.g. "CR-12"
    article: str
    holds_from: date
    holds_until: date | None
    bound: Bound | None
    limit: Value  # what the bound compares with; usually the value itself
    standing: Standing
    note: str
    pack: str
    where: str  # "national.toml:31"

    def holds(self, on: date) -> bool:
        """Whether the row is in force on that day."""
        return self.holds_from <= on and (self.holds_until is None or on <= self.holds_until)


class Citation(msgspec.Struct, frozen=True):
    """Where a value comes from."""

    row: str
    article: str
    pack: str
    value: Value


class Settled(msgspec.Struct, frozen=True):
    """What a rule is worth, the row that says so, and the rows it stands on.

    `lapsed` is a programme's own value that a bound no longer allows.
    """

    value: Value
    row: Row
    beneath: tuple[Row, ...] = ()
    by_programme: bool = False
    lapsed: Value | None = None

    @property
    def pack(self) -> str:
        """Whose value it is."""
        return PROGRAMME if self.by_programme else self.row.pack


class Rules(msgspec.Struct, frozen=True):
    """All that holds for one programme, unchanged between its two days (inclusive).

    Each reader takes the names of its kind. Raises `no_rule_in_force` for days
    before `COVERED_FROM` on which a name had no value yet.
    """

    jurisdiction: str
    holds_from: date
    holds_until: date | None
    settled: Mapping[str, Settled]

    def int(self, name: IntName) -> builtins.int:
        """A whole number, in the unit the name ends in."""
        value = self._of(name).value
        assert isinstance(value, builtins.int)
        return value

    def rate(self, name: RateName) -> builtins.int:
        """A rate in basis points (0.01 %)."""
        value = self._of(name).value
        assert isinstance(value, builtins.int)
        return value

    def flag(self, name: FlagName) -> bool:
        """Yes or no."""
        value = self._of(name).value
        assert isinstance(value, bool)
        return value

    def text(self, name: TextName) -> str:
        """A text, or one of the closed set in `choices`."""
        value = self._of(name).value
        assert isinstance(value, str)
        return value

    def texts(self, name: TextsName) -> tuple[str, ...]:
        """A list of texts."""
        value = self._of(name).value
        assert isinstance(value, tuple)
        return value

    def row(self, name: RuleName) -> str:
        """The id a refusal must cite, e.g. `"P-15"`."""
        return self._of(name).row.row

    def cite(self, name: RuleName) -> Citation:
        """Id, article, pack and value."""
        settled = self._of(name)
        return Citation(settled.row.row, settled.row.article, settled.pack, settled.value)

    def _of(self, name: str) -> Settled:
        settled = self.settled.get(name)
        if settled is None:
            raise NO_RULE.error(
                f"{name} had no value in {self.jurisdiction} before "
                f"{COVERED_FROM.isoformat()}: this case needs a person."
            )
        return settled


class Stop(msgspec.Struct, frozen=True):
    """Why something is stopped."""

    switch: Switch
    scope: Scope
    scope_id: str | None
    rule: str
    reason: str


class Setting(msgspec.Struct, frozen=True):
    """How somebody wants a switch to stand. `scope_id` is None for the group."""

    switch: Switch
    scope: Scope
    scope_id: str | None
    state: SwitchState
    reason: str
    set_by: str
    approved_by: str | None = None


class Change(msgspec.Struct, frozen=True):
    """A setting as it was made: the `version`-th change, at a moment."""

    version: int
    setting: Setting
    set_at_us: int


SWITCH_ROWS = {
    Switch.STOP_SALE: "CR-33",
    Switch.STOP_ISSUE: "CR-35",
    Switch.STOP_TOPUP: "T-22",
    Switch.STOP_PAY: "T-22",
    Switch.STOP_TRANSFER: "T-22",
    Switch.STOP_CASH_OUT: "T-22",
    Switch.STOP_BIND: "B-22",
    Switch.STOP_KEY_REDEMPTION: "R-05",
}
"""The requirement each switch answers, which a refusal cites."""

IMPLIED = {Switch.STOP_SALE: (Switch.STOP_ISSUE, Switch.STOP_TOPUP)}
"""What else a switch stops: taking no prepayment means no new cards and no top-ups."""

assert set(SWITCH_ROWS) == set(Switch)
