"""Kill switches on a real database."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from kabao.base.clock import FixedClock, to_us
from kabao.base.db import Database
from kabao.base.errors import KabaoError
from kabao.policy.choices import Scope, Switch, SwitchState
from kabao.policy.model import Setting
from kabao.policy.ops import Policy

from . import make

COMPANY, OTHER, PROGRAMME = "1" * 32, "2" * 32, "3" * 32


def setting(
    switch: Switch = Switch.STOP_SALE,
    scope: Scope = Scope.GROUP,
    scope_id: str | None = None,
    state: SwitchState = SwitchState.STOPPED,
    reason: str = "serious operating risk",
    set_by: str = "ann",
    approved_by: str | None = None,
) -> Setting:
    return Setting(switch, scope, scope_id, state, reason, set_by, approved_by)


def released(of: Setting) -> Setting:
    return setting(of.switch, of.scope, of.scope_id, SwitchState.RUNNING, "over", "ann", "bob")


async def apply(db: Database, policy: Policy, *settings: Setting) -> None:
    async with db.transaction() as conn:
        for each in settings:
            await policy.set_switch(conn, each)
    async with db.read() as conn:
        await policy.refresh(conn)


def off(
    policy: Policy, name: str, programme: str | None = None, company: str | None = None
) -> str | None:
    return policy.switched_off(name, programme=programme, company=company)


@pytest.fixture
def policy() -> Policy:
    return make.policy()


async def test_nothing_is_stopped_at_first(db: Database, policy: Policy) -> None:
    assert policy.switch_version is None
    async with db.read() as conn:
        assert await policy.refresh(conn)
        assert not await policy.refresh(conn)
    assert policy.switch_version == 0
    assert all(off(policy, name, PROGRAMME, COMPANY) is None for name in Switch)


async def test_stop_sale_stops_prepayments_and_nothing_else(db: Database, policy: Policy) -> None:
    await apply(db, policy, setting())
    stopped = {name.value for name in Switch if off(policy, name, PROGRAMME, COMPANY)}
    assert stopped == {"stop_sale", "stop_issue", "stop_topup"}
    assert off(policy, "stop_topup", PROGRAMME, COMPANY) == "CR-33"
    stop = policy.stop("stop_topup", programme=PROGRAMME, company=COMPANY)
    assert stop is not None
    assert (stop.switch, stop.scope, stop.reason) == (
        Switch.STOP_SALE,
        Scope.GROUP,
        "serious operating risk",
    )
    with pytest.raises(KabaoError) as no:
        policy.require_running("stop_sale", programme=PROGRAMME, company=COMPANY)
    assert (no.value.code.name, no.value.rule) == ("stopped", "CR-33")
    assert "serious" not in no.value.detail
    policy.require_running("stop_pay", programme=PROGRAMME, company=COMPANY)


async def test_a_switch_reaches_as_far_as_its_scope(db: Database, policy: Policy) -> None:
    await apply(
        db,
        policy,
        setting(Switch.STOP_PAY, Scope.COMPANY, COMPANY),
        setting(Switch.STOP_TOPUP, Scope.PROGRAMME, PROGRAMME),
    )
    assert off(policy, "stop_pay", PROGRAMME, COMPANY) == "T-22"
    assert off(policy, "stop_pay", PROGRAMME, OTHER) is None
    assert off(policy, "stop_pay") is None
    assert off(policy, "stop_topup", PROGRAMME, OTHER) == "T-22"
    assert off(policy, "stop_topup", OTHER, COMPANY) is None


async def test_a_release_needs_a_second_person(db: Database, policy: Policy) -> None:
    await apply(db, policy, setting())
    async with db.transaction() as conn:
        for approved_by in (None, "ann"):
            with pytest.raises(KabaoError) as no:
                await policy.set_switch(
                    conn, setting(state=SwitchState.RUNNING, approved_by=approved_by)
                )
            assert (no.value.code.name, no.value.rule) == ("switch_needs_second_person", "ATK-11")
    async with db.read() as conn:
        assert not await policy.refresh(conn)
    assert off(policy, "stop_sale") == "CR-33"
    await apply(db, policy, released(setting()))
    assert off(policy, "stop_sale") is None
    assert off(policy, "stop_topup") is None


async def test_releasing_one_leaves_what_another_stops(db: Database, policy: Policy) -> None:
    sale, topup = setting(), setting(Switch.STOP_TOPUP)
    await apply(db, policy, sale, topup)
    assert off(policy, "stop_topup") == "T-22"
    await apply(db, policy, released(topup))
    assert off(policy, "stop_topup") == "CR-33"
    await apply(db, policy, released(sale))
    assert off(policy, "stop_topup") is None


async def test_a_setting_that_makes_no_sense_is_refused(db: Database, policy: Policy) -> None:
    wrong = [
        (setting(scope_id=COMPANY), "scope_id"),
        (setting(scope=Scope.COMPANY), "scope_id"),
        (setting(scope=Scope.COMPANY, scope_id="0" * 32), "scope_id"),
        (setting(scope=Scope.COMPANY, scope_id="com_1"), "scope_id"),
        (setting(reason="  "), "reason"),
        (setting(reason="x" * 501), "reason"),
        (setting(set_by=""), "set_by"),
        (setting(set_by="x" * 101), "set_by"),
        (setting(approved_by=""), "approved_by"),
    ]
    async with db.transaction() as conn:
        for each, field in wrong:
            with pytest.raises(KabaoError) as no:
                await policy.set_switch(conn, each)
            assert (no.value.code.name, no.value.field) == ("bad_switch", field)
    async with db.read() as conn:
        assert await policy.switch_changes(conn) == []


async def test_every_change_is_kept_with_who_and_when(db: Database) -> None:
    clock = FixedClock(make.START)
    policy = Policy(make.book(), clock)
    stop = setting(Switch.STOP_PAY, Scope.COMPANY, COMPANY)
    await apply(db, policy, stop)
    clock.advance(timedelta(hours=1))
    await apply(db, policy, released(stop))
    async with db.read() as conn:
        kept = await policy.switch_changes(conn)
        assert [change.version for change in kept] == [2, 1]
        assert [change.setting for change in kept] == [released(stop), stop]
        assert kept[1].set_at_us == to_us(make.START)
        assert kept[0].set_at_us - kept[1].set_at_us == 3600 * 1_000_000
        assert await policy.switch_changes(conn, before=2, limit=1) == kept[1:]
        assert await policy.stops(conn) == []


async def test_a_change_rolled_back_never_was(db: Database, policy: Policy) -> None:
    async def undone() -> None:
        async with db.transaction() as conn:
            await policy.set_switch(conn, setting())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await undone()
    async with db.read() as conn:
        await policy.refresh(conn)
        assert await policy.switch_changes(conn) == []
    assert policy.switch_version == 0
    assert off(policy, "stop_sale") is None


async def test_changes_at_once_are_all_kept_in_one_order(db: Database) -> None:
    policy, reader = make.policy(), make.policy()

    async def one(number: int) -> None:
        async with db.transaction() as conn:
            await policy.set_switch(
                conn, setting(Switch.STOP_PAY, Scope.PROGRAMME, f"{number:032x}")
            )

    await asyncio.gather(*(one(number) for number in range(1, 21)))
    async with db.read() as conn:
        assert await reader.refresh(conn)
        kept = await reader.switch_changes(conn)
    assert [change.version for change in kept] == list(range(20, 0, -1))
    assert all(off(reader, "stop_pay", f"{number:032x}") for number in range(1, 21))


async def test_another_process_follows_at_its_next_refresh(db: Database, policy: Policy) -> None:
    other = make.policy()
    async with db.read() as conn:
        await other.refresh(conn)
    await apply(db, policy, setting())
    assert off(other, "stop_sale") is None
    async with db.read() as conn:
        assert await other.refresh(conn)
    assert off(other, "stop_sale") == "CR-33"


async def test_a_switch_of_a_newer_version_is_left_alone(db: Database, policy: Policy) -> None:
    await apply(db, policy, setting())
    async with db.transaction() as conn:
        await conn.execute("update policy.switch set name = 'stop_moon_landing'")
        await conn.execute("update policy.switch_version set version = version + 1")
    async with db.read() as conn:
        assert await policy.refresh(conn)
    assert all(off(policy, name) is None for name in Switch)


async def test_the_database_refuses_what_the_rules_would(db: Database, policy: Policy) -> None:
    await apply(db, policy, setting())
    async with db.read() as conn:
        for broken in (
            "scope = 'planet'",
            "scope = 'company'",
            "state = 'odd'",
            "reason = ''",
            "approved_by = set_by",
        ):
            for table in ("switch", "switch_change"):
                with pytest.raises(psycopg.errors.CheckViolation):
                    await conn.execute(f"update policy.{table} set {broken}".encode())
