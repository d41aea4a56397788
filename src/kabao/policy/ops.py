"""`Policy`: what holds, and what is stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from kabao.base import outbox
from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn
from kabao.base.ids import is_id
from kabao.base.outbox import Pending
from kabao.policy import names, reading, sql, wording
from kabao.policy.book import NO_OVERRIDES, Book
from kabao.policy.choices import Scope, SwitchState
from kabao.policy.model import (
    BAD_OVERRIDE,
    BAD_SWITCH,
    IMPLIED,
    NOT_ALONE,
    STOPPED,
    SWITCH_ROWS,
    Change,
    Rules,
    Setting,
    Stop,
)
from kabao.policy.tables import GROUP_ID
from kabao.policy.wording import Difference, Explained

NATIONAL = "national"
CACHED_RULES = 2000
MAX_HISTORY = 200
MAX_REASON, MAX_PERSON = 500, 100

_Key = tuple[str, int, bool, tuple[tuple[str, str, object], ...]]


class Policy:
    """Rules by programme and day, and the kill switches.

    Rules come from files read once; the switches from a snapshot in memory that
    `refresh` keeps up with the database. Until the first `refresh` nothing is
    known to be stopped: a process serves nobody before it.
    """

    def __init__(self, book: Book, clock: Clock) -> None:
        self._book, self._clock = book, clock
        self._days = BusinessDays()
        self._rules: dict[_Key, Rules] = {}
        self._stops: dict[tuple[str, str], Stop] = {}
        self.switch_version: int | None = None

    @classmethod
    def load(cls, clock: Clock, extra: Sequence[Path] = ()) -> Policy:
        """The shipped packs and those of the given files and folders.

        Raises `bad_policy`, whose detail is the one line to print before exiting.
        """
        return cls(reading.load(extra), clock)

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """The packs a programme may live under."""
        return tuple(sorted(self._book.chains))

    def rules(
        self,
        *,
        jurisdiction: str,
        on: date,
        overrides: Mapping[str, object] = NO_OVERRIDES,
        lapse: bool = False,
    ) -> Rules:
        """What holds that day for a programme with these values of its own.

        The same object is returned while nothing changes, so callers may keep
        what they derive from it as long as they get it. With `lapse` a value
        that a later law no longer allows gives way to the law, so that a till
        does not stop on the day the law begins; whoever sets values leaves it
        off. Raises `unknown_jurisdiction`, `bad_policy_override` and, without
        `lapse`, `policy_loosened`.
        """
        key = (jurisdiction, self._book.segment(jurisdiction, on), lapse, _frozen(overrides))
        found = self._rules.get(key)
        if found is None:
            found = self._book.resolve(jurisdiction, on, overrides, lapse=lapse)
            if len(self._rules) >= CACHED_RULES:
                self._rules.clear()
            self._rules[key] = found
        return found

    def explain(
        self, *, jurisdiction: str, on: date, overrides: Mapping[str, object] = NO_OVERRIDES
    ) -> list[Explained]:
        """Everything that holds that day, with its text and why it and no other."""
        rules = self.rules(jurisdiction=jurisdiction, on=on, overrides=overrides, lapse=True)
        return self.explained(rules)

    def explained(self, rules: Rules) -> list[Explained]:
        """The same for rules that somebody else has resolved."""
        return wording.explain(
            rules, {name: pack.sources for name, pack in self._book.packs.items()}
        )

    def compare(
        self,
        other: Policy,
        *,
        jurisdiction: str,
        on: date,
        overrides: Mapping[str, object] = NO_OVERRIDES,
    ) -> list[Difference]:
        """What would change under another policy, such as one loaded with a draft law."""
        return wording.compare(
            self.rules(jurisdiction=jurisdiction, on=on, overrides=overrides, lapse=True),
            other.rules(jurisdiction=jurisdiction, on=on, overrides=overrides, lapse=True),
        )

    async def refresh(self, conn: Conn) -> bool:
        """Look for changed switches: one cheap read when there are none."""
        version = await sql.version(conn)
        if version == self.switch_version:
            return False
        self._stops = _snapshot(await sql.stopped(conn))
        self.switch_version = version
        return True

    def stop(self, name: str, *, programme: str | None, company: str | None) -> Stop | None:
        """What stops this business here, or None."""
        if not self._stops:
            return None
        for scope_id in (GROUP_ID, company, programme):
            if scope_id is not None and (found := self._stops.get((name, scope_id))):
                return found
        return None

    def switched_off(self, name: str, *, programme: str | None, company: str | None) -> str | None:
        """The id of the rule that stops this business here, e.g. `"CR-33"`, or None."""
        found = self.stop(name, programme=programme, company=company)
        return None if found is None else found.rule

    def require_running(self, name: str, *, programme: str | None, company: str | None) -> None:
        """Raises `stopped`, with its rule, when this business is stopped here.

        The reason stays inside: it was written for colleagues, not for customers.
        """
        rule = self.switched_off(name, programme=programme, company=company)
        if rule is not None:
            raise STOPPED.error(rule=rule)

    async def set_switch(self, conn: Conn, setting: Setting) -> Change:
        """Stop or release. Every process follows at its next `refresh`.

        One person may stop; releasing takes an `approved_by` who is another
        (ATK-11). Raises `bad_switch`, `switch_needs_second_person`.
        """
        _check_setting(setting)
        now_us = self._clock.now_us()
        rules = self.rules(jurisdiction=NATIONAL, on=self._days.of(now_us))
        needs_two = (
            names.SWITCH_STOP_NEEDS_TWO
            if setting.state is SwitchState.STOPPED
            else names.SWITCH_RELEASE_NEEDS_TWO
        )
        if rules.flag(needs_two) and setting.approved_by is None:
            raise NOT_ALONE.error(rule=rules.row(needs_two), field="approved_by")
        change = Change(await sql.next_version(conn), setting, now_us)
        await sql.store(conn, change)
        await outbox.write(conn, [_told(change)], now_us)
        return change

    async def stops(self, conn: Conn) -> list[Setting]:
        """Every switch that stops something now, as the database has it."""
        return await sql.stopped(conn)

    async def switch_changes(
        self, conn: Conn, *, before: int | None = None, limit: int = 50
    ) -> list[Change]:
        """The history of all switches, newest first; `before` is a version."""
        return await sql.changes(conn, before, min(limit, MAX_HISTORY))


def _frozen(overrides: Mapping[str, object]) -> tuple[tuple[str, str, object], ...]:
    """Overrides as part of a cache key; the type keeps 1 apart from true."""
    if not overrides:
        return ()
    frozen = []
    for name in sorted(overrides):
        value = overrides[name]
        if isinstance(value, list | tuple):
            value = tuple(value) if all(isinstance(item, str) for item in value) else None
        if not isinstance(value, bool | int | str | tuple):
            raise BAD_OVERRIDE.error(
                f"{name}: a whole number, a text, true, false or a list of texts is wanted.",
                field=name,
            )
        frozen.append((name, type(value).__name__, value))
    return tuple(frozen)


def _snapshot(stopped: Sequence[Setting]) -> dict[tuple[str, str], Stop]:
    """By name and scope id; what a switch implies is filled in where nothing stands itself."""
    direct = {
        (setting.switch.value, setting.scope_id or GROUP_ID): Stop(
            setting.switch,
            setting.scope,
            setting.scope_id,
            SWITCH_ROWS[setting.switch],
            setting.reason,
        )
        for setting in stopped
    }
    implied = {
        (other.value, stop.scope_id or GROUP_ID): stop
        for stop in direct.values()
        for other in IMPLIED.get(stop.switch, ())
    }
    return {**implied, **direct}


def _told(change: Change) -> Pending:
    """The event of a change. The reason stays inside: it was written for colleagues."""
    setting = change.setting
    payload = {
        "switch": setting.switch,
        "scope": setting.scope,
        "scope_id": setting.scope_id,
        "rule": SWITCH_ROWS[setting.switch],
        "change": change.version,
    }
    stopped = setting.state is SwitchState.STOPPED
    return Pending("switch.stopped" if stopped else "switch.released", payload)


def _check_setting(setting: Setting) -> None:
    if (setting.scope is Scope.GROUP) != (setting.scope_id is None):
        raise BAD_SWITCH.error(
            "The group has no id; a company or a programme has one.", field="scope_id"
        )
    if setting.scope_id is not None and (
        not is_id(setting.scope_id) or setting.scope_id == GROUP_ID
    ):
        raise BAD_SWITCH.error("That is not an id.", field="scope_id")
    if not setting.reason.strip() or len(setting.reason) > MAX_REASON:
        raise BAD_SWITCH.error(
            f"A reason of 1 to {MAX_REASON} characters is wanted.", field="reason"
        )
    for field, person in (("set_by", setting.set_by), ("approved_by", setting.approved_by)):
        if person is not None and not 1 <= len(person) <= MAX_PERSON:
            raise BAD_SWITCH.error(
                f"A person is named with 1 to {MAX_PERSON} characters.", field=field
            )
    if setting.approved_by == setting.set_by:
        raise NOT_ALONE.error(
            "Nobody approves what they set themselves.", rule="ATK-11", field="approved_by"
        )
