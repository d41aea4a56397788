"""Maker and checker on a real database."""

from datetime import timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from kabao.access.model import (
    APPROVAL_CHANGED,
    APPROVAL_DECIDED,
    APPROVAL_EXPIRED,
    APPROVAL_KIND_UNKNOWN,
    APPROVAL_TOO_LARGE,
    BEYOND_OWN_SCOPE,
    SELF_APPROVAL,
    Approval,
    ApprovalState,
    Role,
    Scope,
    grant,
)
from kabao.access.model.approvals import MAX_PAYLOAD
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND, UNAUTHENTICATED, Code, KabaoError, Kind
from kabao.base.web.principal import Principal

from .make import ADJUSTMENT, Adjust, World, together

NO_LONGER_POSSIBLE = Code("no_longer_possible", Kind.REFUSED, "For tests.")


async def refused(awaitable: Any) -> Any:
    with pytest.raises(KabaoError) as no:
        await awaitable
    return no.value.code


async def stored(world: World, ident: str) -> Approval:
    async with world.db.read() as conn:
        return await world.access.approvals.get(conn, world.by[Role.AUDITOR], ident)


async def test_two_people_get_something_done(world: World) -> None:
    asked = await world.ask(world.by[Role.OPERATOR], 1234)
    assert world.executed == []
    assert (await stored(world, asked.id)).state is ApprovalState.PENDING
    done = await world.approve(world.by[Role.APPROVER], asked.id, reason="seen")
    assert done.state is ApprovalState.EXECUTED
    (executed,) = world.executed
    assert executed[0] == Adjust("card_1", 1234)
    assert executed[1].checker == world.person(Role.APPROVER)
    kept = await stored(world, asked.id)
    assert kept == done
    assert kept.result == b'{"transfer":"tra_1"}'
    assert (kept.maker, kept.checker) == (world.person(Role.OPERATOR), world.person(Role.APPROVER))


async def test_a_refused_request_stays_refused(world: World) -> None:
    asked, by = await world.ask(world.by[Role.OPERATOR]), world.by[Role.APPROVER]
    approvals = world.access.approvals
    done = await world.tx(lambda conn: approvals.refuse(conn, by, asked.id, "no"))
    assert (done.state, done.decision_reason) == (ApprovalState.REFUSED, "no")
    assert await refused(world.approve(by, asked.id)) is APPROVAL_DECIDED
    assert world.executed == []


async def _all_ways_of(world: World, role: Role) -> list[Principal]:
    """Every way a person can come: two keys, one of them with another role, and a session."""
    totp = await world.enrol(role)
    session = (await world.login(role, totp)).token
    tokens = [
        world.founders[role].key,
        await world.key(role),
        await world.key(role, grant(Scope(world.company), [Role.APPROVER])),
        session,
    ]
    return [await world.principal(token) for token in tokens]


@pytest.mark.parametrize("action", ["approve", "refuse"])
async def test_nobody_decides_what_they_asked_in_a_hundred_tries(world: World, action: str) -> None:
    """However they come: the identity is the person, not the key or the session."""
    ways = await _all_ways_of(world, Role.OPERATOR)
    assert len({way.id for way in ways}) == 4
    asked = [await world.ask(way) for way in ways]
    approvals = world.access.approvals

    async def decide(by: Principal, ident: str) -> Approval:
        if action == "approve":
            return await world.approve(by, ident)
        return await world.tx(lambda conn: approvals.refuse(conn, by, ident, "mine"))

    tries = [decide(way, one.id) for one in asked for way in ways] * 1
    tries += [decide(ways[n % 4], asked[n // 4 % 4].id) for n in range(84)]
    answers = await together(tries)
    assert len(answers) == 100
    assert all(isinstance(no, KabaoError) and no.code is SELF_APPROVAL for no in answers)
    assert world.executed == []
    for one in asked:
        assert (await stored(world, one.id)).state is ApprovalState.PENDING


async def test_the_database_itself_refuses_one_person_in_both_parts(world: World) -> None:
    asked = await world.ask(world.by[Role.OPERATOR])

    async def cheat(conn: Conn) -> None:
        await conn.execute(
            "update access.approval set state = 'executed', checker = maker,"
            " checker_via = maker_via, decided_at = created_at where id = %s",
            [asked.id],
        )

    async def nobody(conn: Conn) -> None:
        await conn.execute(
            "update access.approval set state = 'executed' where id = %s", [asked.id]
        )

    for attempt, constraint in ((cheat, "two_people"), (nobody, "decided_by_somebody")):
        with pytest.raises(psycopg.errors.CheckViolation, match=constraint):
            await world.tx(attempt)


async def test_of_fifty_who_agree_at_once_one_executes(world: World) -> None:
    asked = await world.ask(world.by[Role.OPERATOR])
    answers = await together(world.approve(world.by[Role.APPROVER], asked.id) for _ in range(50))
    done = [a for a in answers if isinstance(a, Approval)]
    assert len(done) == len(world.executed) == 1
    assert {a.code for a in answers if isinstance(a, KabaoError)} == {APPROVAL_DECIDED}


async def test_an_executor_that_fails_leaves_the_request_open(world: World) -> None:
    possible = False

    async def executor(conn: Conn, payload: Adjust, approval: Approval) -> Adjust:
        await conn.execute("insert into proofs.counter values ('n', 'x', 1, now())")
        if not possible:
            raise NO_LONGER_POSSIBLE.error()
        return payload

    world.access.register_executor("limit_change", executor, payload=Adjust)
    approvals, by = world.access.approvals, world.by[Role.OPERATOR]
    asked = await world.tx(
        lambda conn: approvals.ask(conn, by, "limit_change", Adjust("c", 1), "why")
    )
    approver = world.by[Role.APPROVER]
    assert await refused(world.approve(approver, asked.id)) is NO_LONGER_POSSIBLE
    assert (await stored(world, asked.id)).state is ApprovalState.PENDING
    async with world.db.read() as conn:
        row = await (await conn.execute("select count(*) from proofs.counter")).fetchone()
    assert row == (0,)
    possible = True
    assert (await world.approve(approver, asked.id)).state is ApprovalState.EXECUTED


async def test_an_executor_may_hand_the_work_to_a_job(world: World) -> None:
    async def executor(conn: Conn, payload: Adjust, approval: Approval) -> None:
        return None

    world.access.register_executor("bulk_issue", executor, payload=Adjust)
    approvals, by = world.access.approvals, world.by[Role.OPERATOR]
    asked = await world.tx(
        lambda conn: approvals.ask(conn, by, "bulk_issue", Adjust("c", 1), "why")
    )
    assert await refused(world.tx(lambda conn: approvals.finish(conn, asked.id, Adjust("c", 1))))
    done = await world.approve(world.by[Role.APPROVER], asked.id)
    assert (done.state, done.result) == (ApprovalState.APPROVED, None)
    finished = await world.tx(lambda conn: approvals.finish(conn, asked.id, Adjust("c", 9)))
    assert (finished.state, finished.result) == (ApprovalState.EXECUTED, b'{"card":"c","amount":9}')
    assert await refused(world.tx(lambda conn: approvals.finish(conn, asked.id, Adjust("c", 1))))


async def test_what_was_changed_after_it_was_asked_is_not_executed(world: World) -> None:
    for edit in (
        'payload = convert_to(\'{"card":"card_1","amount":999999}\', \'UTF8\')',
        "maker = %(somebody)s",
        "kind = 'role_change'",
        "companies = null",
        "digest = sha256(payload || 'x')",
        "expires_at = expires_at + interval '1 year'",
    ):
        asked = await world.ask(world.by[Role.OPERATOR])
        query = f"update access.approval set {edit} where id = %(id)s".encode()
        values = {"id": asked.id, "somebody": world.person(Role.AUDITOR)}
        async with world.db.transaction() as conn:
            await conn.execute(query, values)
        approving = world.approve(world.by[Role.APPROVER], asked.id)
        assert await refused(approving) is APPROVAL_CHANGED, edit
    assert world.executed == []


async def test_a_changed_payload_with_a_digest_to_match_is_found_too(world: World) -> None:
    asked = await world.ask(world.by[Role.OPERATOR])

    async def change(conn: Conn) -> None:
        payload = msgspec.json.encode(Adjust("card_1", 999_999))
        await conn.execute(
            "update access.approval set payload = %(p)s, digest = sha256(%(p)s) where id = %(id)s",
            {"id": asked.id, "p": payload},
        )

    await world.tx(change)
    assert await refused(world.approve(world.by[Role.APPROVER], asked.id)) is APPROVAL_CHANGED


async def test_a_checker_agrees_to_what_they_have_seen(world: World) -> None:
    asked, by = await world.ask(world.by[Role.OPERATOR]), world.by[Role.APPROVER]
    assert await refused(world.approve(by, asked.id, digest=bytes(32))) is APPROVAL_CHANGED
    assert (await world.approve(by, asked.id, digest=asked.digest)).state is ApprovalState.EXECUTED


@pytest.mark.parametrize("late_s", [-1, 0])
async def test_what_nobody_decides_expires(world: World, late_s: int) -> None:
    asked = await world.ask(world.by[Role.OPERATOR])
    world.clock.advance(timedelta(hours=72, seconds=late_s))
    if late_s < 0:
        await world.approve(world.by[Role.APPROVER], asked.id)
        return
    assert await refused(world.approve(world.by[Role.APPROVER], asked.id)) is APPROVAL_EXPIRED
    async with world.db.read() as conn:
        (found,) = await world.access.approvals.find(
            conn, world.by[Role.AUDITOR], state=ApprovalState.EXPIRED, limit=10
        )
    assert found.id == asked.id
    assert await world.tx(world.access.approvals.expire) == 1
    assert await world.tx(world.access.approvals.expire) == 0
    assert (await stored(world, asked.id)).state is ApprovalState.EXPIRED


async def test_requests_outside_ones_scope_are_unknown(world: World) -> None:
    key = grant(Scope(world.other, frozenset({world.other})), [Role.APPROVER])
    elsewhere = await world.principal(await world.key(Role.APPROVER, key))
    mine = frozenset({world.company, world.other})
    both = await world.ask(world.by[Role.OPERATOR], companies=mine)
    group = await world.ask(world.by[Role.OPERATOR], companies=None)
    theirs = await world.ask(world.by[Role.OPERATOR], companies=frozenset({world.other}))
    for hidden in (both, group):
        assert await refused(world.approve(elsewhere, hidden.id)) is NOT_FOUND
    async with world.db.read() as conn:
        found = await world.access.approvals.find(conn, elsewhere, limit=10)
    assert [one.id for one in found] == [theirs.id]
    assert (await world.approve(elsewhere, theirs.id)).state is ApprovalState.EXECUTED


async def test_a_key_for_one_store_decides_nothing(world: World) -> None:
    given = world.scoped(stores=[world.store], roles=[Role.APPROVER])
    till = await world.principal(await world.key(Role.APPROVER, given))
    mine = frozenset({world.company})
    asked = await world.ask(world.by[Role.OPERATOR], companies=mine)
    assert await refused(world.approve(till, asked.id)) is NOT_FOUND
    async with world.db.read() as conn:
        assert await world.access.approvals.find(conn, till, limit=10) == []


async def test_nobody_asks_for_what_they_do_not_see(world: World) -> None:
    given = world.scoped(roles=[Role.OPERATOR])
    by = await world.principal(await world.key(Role.OPERATOR, given))
    for touched in (None, frozenset({world.other}), frozenset({world.company, world.other})):
        assert await refused(world.ask(by, companies=touched)) is BEYOND_OWN_SCOPE
    asked = await world.ask(by)
    assert asked.companies == (world.company,)


async def test_a_checker_who_was_just_suspended_decides_nothing(world: World) -> None:
    """The token may live in memory for a moment; the decision asks the database."""
    asked, checker = await world.ask(world.by[Role.OPERATOR]), world.by[Role.APPROVER]
    operators, admin = world.access.operators, world.by[Role.ADMIN]
    person = world.person(Role.APPROVER)
    await world.tx(lambda conn: operators.suspend(conn, admin, person, "left"))
    assert world.access.ring.cached(world.founders[Role.APPROVER].key) == checker
    assert await refused(world.approve(checker, asked.id)) is UNAUTHENTICATED


async def test_what_cannot_be_asked(world: World) -> None:
    by, approvals = world.by[Role.OPERATOR], world.access.approvals
    large = Adjust("x" * MAX_PAYLOAD, 1)
    for kind, payload, reason, expected in (
        ("nonsense", Adjust("c", 1), "why", APPROVAL_KIND_UNKNOWN),
        (ADJUSTMENT, large, "why", APPROVAL_TOO_LARGE),
        (ADJUSTMENT, Adjust("c", 1), "", INVALID),
        (ADJUSTMENT, Adjust("c", 1), "x" * 256, INVALID),
    ):
        asking = world.tx(
            lambda conn, k=kind, p=payload, r=reason: approvals.ask(conn, by, k, p, r)  # type: ignore[misc]  # bound
        )
        assert await refused(asking) is expected


async def test_the_list_filters_and_pages(world: World) -> None:
    first = await world.ask(world.by[Role.OPERATOR])
    second = await world.ask(world.by[Role.MERCHANT])
    third = await world.ask(world.by[Role.OPERATOR])
    await world.approve(world.by[Role.APPROVER], second.id)

    async def find(**wanted: Any) -> list[str]:
        async with world.db.read() as conn:
            found = await world.access.approvals.find(
                conn, world.by[Role.AUDITOR], limit=wanted.pop("limit", 10), **wanted
            )
        return [one.id for one in found]

    assert await find() == [third.id, second.id, first.id]
    assert await find(before=third.id, limit=1) == [second.id]
    assert await find(state=ApprovalState.EXECUTED) == [second.id]
    assert await find(maker=world.person(Role.OPERATOR)) == [third.id, first.id]
    assert await find(kind="role_change") == []


async def test_what_takes_two_is_policy(world: World) -> None:
    approvals = world.access.approvals
    for kind in ("adjustment", "bulk_issue", "limit_change", "pin_reset", "role_change"):
        assert approvals.needs_two(kind)
    assert not approvals.needs_two("looking")
