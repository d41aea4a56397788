"""Operators, enrolment, logins: on a real database."""

from datetime import timedelta
from typing import Any

import pytest

from kabao.access.model import (
    ALREADY_BOOTSTRAPPED,
    BEYOND_OWN_SCOPE,
    INVITATION_REFUSED,
    LOGIN_REFUSED,
    LOGIN_TAKEN,
    LOGINS_BUSY,
    OWN_BENEFIT,
    PASSWORD_WEAK,
    SELF_SUSPENSION,
    Enrolment,
    Login,
    NewOperator,
    Opened,
    OperatorState,
    Role,
    Scope,
    founding,
    grant,
    verbs_of,
)
from kabao.access.ops import Passwords
from kabao.access.ops import passwords as passwords_module
from kabao.base.clock import now
from kabao.base.errors import FORBIDDEN, NOT_FOUND, KabaoError

from .make import PASSWORD, World, authenticator, passwords, together, weak_hasher


async def refused(awaitable: Any) -> Any:
    with pytest.raises(KabaoError) as no:
        await awaitable
    return no.value.code


async def operator(world: World, ident: str) -> Any:
    async with world.db.read() as conn:
        return await world.access.operators.get(conn, world.by[Role.ADMIN], ident)


# --- the first people -------------------------------------------------------


async def test_there_are_first_people_once(world: World) -> None:
    again = founding(world.company)
    assert [one.login for one in again] == ["admin", "approver"]
    bootstrap = world.access.bootstrap
    assert await refused(world.tx(lambda conn: bootstrap(conn, again))) is ALREADY_BOOTSTRAPPED


async def test_first_people_are_founded_once_by_however_many(world: World) -> None:
    async with world.db.transaction() as conn:
        await conn.execute("truncate access.operator, access.api_key, access.session cascade")
    found = founding(world.company)
    answers = await together(
        world.tx(lambda conn: world.access.bootstrap(conn, found)) for _ in range(8)
    )
    assert sum(isinstance(answer, list) for answer in answers) == 1


# --- enrolment --------------------------------------------------------------


async def test_an_invited_person_chooses_a_password_and_logs_in(world: World) -> None:
    totp = await world.enrol(Role.OPERATOR)
    opened = await world.login(Role.OPERATOR, totp)
    principal = await world.principal(opened.token)
    assert principal.id == world.person(Role.OPERATOR)
    assert principal.name == "operator"
    assert principal.verbs == world.by[Role.OPERATOR].verbs
    found = await operator(world, principal.id)
    assert world.access.operators.name_of(found) == "张三"
    async with world.db.read() as conn:
        row = await (
            await conn.execute(
                "select to_jsonb(o)::text from access.operator o where login = 'operator'"
            )
        ).fetchone()
    assert row is not None
    assert "张三" not in row[0]
    assert totp.secret not in row[0]
    assert PASSWORD not in row[0]
    assert "$argon2id$" in row[0]


async def test_an_invitation_is_used_once(world: World) -> None:
    form = Enrolment(world.founders[Role.OPERATOR].invitation, "n", PASSWORD)
    answers = await together(world.access.operators.enrol(form) for _ in range(8))
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert await refused(world.access.operators.enrol(form)) is INVITATION_REFUSED


async def test_a_weak_password_does_not_use_the_invitation_up(world: World) -> None:
    form = Enrolment(world.founders[Role.OPERATOR].invitation, "n", "too short")
    assert await refused(world.access.operators.enrol(form)) is PASSWORD_WEAK
    await world.enrol(Role.OPERATOR)


async def test_an_invitation_grows_old(world: World) -> None:
    world.clock.advance(timedelta(hours=72))
    form = Enrolment(world.founders[Role.OPERATOR].invitation, "n", PASSWORD)
    assert await refused(world.access.operators.enrol(form)) is INVITATION_REFUSED


# --- logging in -------------------------------------------------------------


async def test_wrong_secrets_are_one_answer(world: World) -> None:
    totp = await world.enrol(Role.OPERATOR)
    good, login = world.code(totp), "operator"
    wrong = f"{(int(good) + 1) % 1_000_000:06d}"
    errors = []
    for form in (
        Login("nobody", PASSWORD, good),
        Login("merchant", PASSWORD, good),  # invited, not enrolled
        Login(login, PASSWORD + "x", good),
        Login(login, PASSWORD, wrong),
        Login(login, PASSWORD, None),
        Login(login, "x" * 10_000, good),
    ):
        with pytest.raises(KabaoError) as no:
            await world.access.sessions.open(form)
        errors.append((no.value.code, no.value.detail, no.value.rule, no.value.field))
    assert set(errors) == {(LOGIN_REFUSED, LOGIN_REFUSED.title, "ATK-3", None)}


async def test_five_wrong_tries_lock_the_login_for_half_an_hour(world: World) -> None:
    totp = await world.enrol(Role.OPERATOR)
    for _ in range(4):
        await refused(world.login(Role.OPERATOR, totp, "not the password"))
    assert isinstance(await world.login(Role.OPERATOR, totp), Opened)
    world.clock.advance(timedelta(seconds=30))
    for _ in range(5):
        await refused(world.login(Role.OPERATOR, totp, "not the password"))
    assert await refused(world.login(Role.OPERATOR, totp)) is LOGIN_REFUSED
    world.clock.advance(timedelta(minutes=30, seconds=-1))
    assert await refused(world.login(Role.OPERATOR, totp)) is LOGIN_REFUSED
    world.clock.advance(timedelta(seconds=1))
    assert isinstance(await world.login(Role.OPERATOR, totp), Opened)


async def test_a_lock_that_has_passed_counts_anew(world: World) -> None:
    totp = await world.enrol(Role.OPERATOR)
    for _ in range(5):
        await refused(world.login(Role.OPERATOR, totp, "not the password"))
    world.clock.advance(timedelta(minutes=30))
    for _ in range(4):
        await refused(world.login(Role.OPERATOR, totp, "not the password"))
    assert isinstance(await world.login(Role.OPERATOR, totp), Opened)


async def test_a_right_login_forgets_the_wrong_ones(world: World) -> None:
    totp = await world.enrol(Role.OPERATOR)
    for step in range(3):
        for _ in range(4):
            await refused(world.login(Role.OPERATOR, totp, "not the password"))
        await world.login(Role.OPERATOR, totp)
        world.clock.advance(timedelta(seconds=30 * (step + 1)))


async def test_parallel_guesses_are_judged_five_times(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right password is the last of forty sent at once: it is not among those looked at."""
    monkeypatch.setattr(passwords_module, "WAITING_MAX", 100)
    totp = await world.enrol(Role.OPERATOR)
    judged: list[str] = []

    class Counting(Passwords):
        def _matches(self, stored: str | None, password: str) -> bool:
            if stored is not None:
                judged.append(password)
            return super()._matches(stored, password)

    pool = Counting(weak_hasher())
    world.access.sessions._passwords = pool
    first = [world.login(Role.OPERATOR, totp, f"guess number {n}") for n in range(40)]
    answers = await together([*first, world.login(Role.OPERATOR, totp)])
    assert all(isinstance(no, KabaoError) and no.code is LOGIN_REFUSED for no in answers)
    assert len(judged) == 5
    pool.close()


async def test_a_totp_step_opens_one_session(world: World) -> None:
    totp = await world.enrol(Role.OPERATOR)
    answers = await together(world.login(Role.OPERATOR, totp) for _ in range(5))
    assert sum(isinstance(answer, Opened) for answer in answers) == 1
    world.clock.advance(timedelta(seconds=30))
    assert isinstance(await world.login(Role.OPERATOR, totp), Opened)


async def test_a_token_may_be_a_step_off(world: World) -> None:
    totp = await world.enrol(Role.OPERATOR)
    for steps, right in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        world.clock.advance(timedelta(minutes=5))
        if right:
            assert isinstance(await world.login(Role.OPERATOR, totp, steps=steps), Opened)
        else:
            assert await refused(world.login(Role.OPERATOR, totp, steps=steps)) is LOGIN_REFUSED


async def test_an_older_step_is_not_taken_after_a_newer_one(world: World) -> None:
    totp = await world.enrol(Role.OPERATOR)
    await world.login(Role.OPERATOR, totp, steps=1)
    assert await refused(world.login(Role.OPERATOR, totp, steps=0)) is LOGIN_REFUSED
    world.clock.advance(timedelta(seconds=30))
    assert await refused(world.login(Role.OPERATOR, totp, steps=0)) is LOGIN_REFUSED


async def test_logins_that_pile_up_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords_module, "WAITING_MAX", 3)
    pool = passwords()
    answers = await together(pool.matches(None, "x") for _ in range(20))
    assert answers.count(False) == 3
    assert {no.code for no in answers if isinstance(no, KabaoError)} == {LOGINS_BUSY}
    pool.close()


# --- sessions ---------------------------------------------------------------


async def test_a_session_ends_when_idle(world: World) -> None:
    opened = await world.login(Role.OPERATOR, await world.enrol(Role.OPERATOR))
    ring = world.access.ring
    for _ in range(4):  # an hour, never idle for fifteen minutes
        world.clock.advance(timedelta(minutes=15, seconds=-1))
        assert ring.cached(opened.token) or await ring.principal(opened.token)
    world.clock.advance(timedelta(minutes=15))
    assert ring.cached(opened.token) is None
    assert await ring.principal(opened.token) is None


async def test_a_session_ends_after_half_a_day_in_any_case(world: World) -> None:
    opened = await world.login(Role.OPERATOR, await world.enrol(Role.OPERATOR))
    ring = world.access.ring
    for _ in range(12 * 6 - 1):
        world.clock.advance(timedelta(minutes=10))
        assert ring.cached(opened.token) or await ring.principal(opened.token)
    world.clock.advance(timedelta(minutes=10))
    assert ring.cached(opened.token) is None
    assert await ring.principal(opened.token) is None


async def test_activity_in_one_process_keeps_the_session_alive_in_another(world: World) -> None:
    seconds = [0.0]
    busy = world.twin(monotonic=lambda: seconds[0]).access.ring
    other = world.twin().access.ring
    opened = await world.login(Role.OPERATOR, await world.enrol(Role.OPERATOR))
    for _ in range(3):
        assert busy.cached(opened.token) or await busy.principal(opened.token)
        seconds[0] += 30
        await busy.refresh()
        world.clock.advance(timedelta(minutes=10))
    assert await other.principal(opened.token) is not None


async def test_logging_out_ends_the_session_everywhere(world: World) -> None:
    opened = await world.login(Role.OPERATOR, await world.enrol(Role.OPERATOR))
    twin = world.twin().access.ring
    principal = await twin.principal(opened.token)
    assert principal is not None
    await world.access.sessions.close(opened.token, principal)
    await twin.refresh()
    assert twin.cached(opened.token) is None
    assert await twin.principal(opened.token) is None
    await world.access.sessions.close(opened.token, principal)


async def test_a_changed_password_ends_all_sessions(world: World) -> None:
    totp = await world.enrol(Role.OPERATOR)
    opened = await world.login(Role.OPERATOR, totp)
    by, new = await world.principal(opened.token), "another good secret"
    change = world.access.sessions.change_password
    assert await refused(change(by, "wrong", new)) is LOGIN_REFUSED
    assert await refused(change(by, PASSWORD, "short")) is PASSWORD_WEAK
    assert await refused(change(world.by[Role.OPERATOR], PASSWORD, new)) is FORBIDDEN
    await change(by, PASSWORD, new)
    await world.access.ring.catch_up()
    assert await world.access.ring.principal(opened.token) is None
    world.clock.advance(timedelta(seconds=30))
    assert await refused(world.login(Role.OPERATOR, totp)) is LOGIN_REFUSED
    assert isinstance(await world.login(Role.OPERATOR, totp, new), Opened)


async def test_old_sessions_are_forgotten(world: World) -> None:
    await world.login(Role.OPERATOR, await world.enrol(Role.OPERATOR))
    world.clock.advance(timedelta(hours=12 + 24))
    assert await world.tx(world.access.sessions.purge) == 0
    world.clock.advance(timedelta(seconds=1))
    assert await world.tx(world.access.sessions.purge) == 1


# --- inviting, changing, suspending -----------------------------------------


async def invite(world: World, login: str = "li.si", *roles: Role, **more: Any) -> Any:
    by = more.pop("by", world.by[Role.ADMIN])
    scope = more.pop("scope", Scope(world.company, frozenset({world.company})))
    new = NewOperator(login, grant(scope, roles or [Role.CALL_CENTRE]))
    return await world.tx(lambda conn: world.access.operators.invite(conn, by, new, "why"))


async def test_a_new_person_takes_two(world: World) -> None:
    invited = await invite(world)
    form = Enrolment(invited.invitation, "李四", PASSWORD)
    assert await refused(world.access.operators.enrol(form)) is INVITATION_REFUSED
    assert await refused(operator(world, invited.operator)) is NOT_FOUND
    await world.approve(world.by[Role.APPROVER], invited.approval.id)
    totp = authenticator((await world.access.operators.enrol(form)).totp_uri)
    opened = await world.access.sessions.open(Login("LI.SI", PASSWORD, world.code(totp)))
    principal = await world.principal(opened.token)
    assert principal.companies == {world.company}
    assert "cards:find" in principal.verbs


async def test_a_login_is_one_persons(world: World) -> None:
    assert await refused(invite(world, "admin")) is LOGIN_TAKEN
    first, second = await invite(world), await invite(world)
    await world.approve(world.by[Role.APPROVER], first.approval.id)
    again = world.approve(world.by[Role.APPROVER], second.approval.id)
    assert await refused(again) is LOGIN_TAKEN


async def test_a_persons_scope_lies_in_the_inviters(world: World) -> None:
    by = await world.principal(await world.key(Role.ADMIN, world.scoped(roles=[Role.ADMIN])))
    for scope in (Scope(world.company), Scope(world.other, frozenset({world.other}))):
        assert await refused(invite(world, by=by, scope=scope)) is BEYOND_OWN_SCOPE


async def change(world: World, role: Role, *roles: Role) -> Any:
    by, given = world.by[Role.ADMIN], grant(Scope(world.company), roles)
    return await world.tx(
        lambda conn: world.access.operators.change(conn, by, world.person(role), given, "why")
    )


async def test_more_takes_two_and_less_takes_one(world: World) -> None:
    more = await change(world, Role.CASHIER, Role.CASHIER, Role.AUDITOR)
    assert more.approval is not None
    assert (await operator(world, world.person(Role.CASHIER))).roles == (Role.CASHIER,)
    await world.approve(world.by[Role.APPROVER], more.approval.id)
    assert set((await operator(world, world.person(Role.CASHIER))).roles) == {
        Role.CASHIER,
        Role.AUDITOR,
    }
    less = await change(world, Role.CASHIER, Role.AUDITOR)
    assert (less.approval, less.operator.roles) == (None, (Role.AUDITOR,))


@pytest.mark.parametrize(("to", "takes_two"), [(Role.CALL_CENTRE, False), (Role.CASHIER, True)])
async def test_what_is_taken_away_takes_the_keys_with_it(
    world: World, to: Role, takes_two: bool
) -> None:
    """A call-centre role is part of an operator's; a cashier's has more, and less."""
    token = world.founders[Role.OPERATOR].key
    session = (await world.login(Role.OPERATOR, await world.enrol(Role.OPERATOR))).token
    await world.principal(session)
    done = await change(world, Role.OPERATOR, to)
    assert (done.approval is not None) is takes_two
    if takes_two:
        await world.approve(world.by[Role.APPROVER], done.approval.id)
    await world.access.ring.refresh()
    assert await world.access.ring.principal(token) is None
    assert (await world.principal(session)).verbs == verbs_of([to])


async def test_nobody_agrees_to_their_own_benefit(world: World) -> None:
    done = await change(world, Role.APPROVER, Role.APPROVER, Role.OPERATOR)
    approving = world.approve(world.by[Role.APPROVER], done.approval.id)
    assert await refused(approving) is OWN_BENEFIT


async def test_a_suspended_person_is_out_at_once(world: World) -> None:
    totp = await world.enrol(Role.OPERATOR)
    session = (await world.login(Role.OPERATOR, totp)).token
    twin = world.twin().access.ring
    tokens = [session, world.founders[Role.OPERATOR].key, await world.key(Role.OPERATOR)]
    for token in tokens:
        assert await twin.principal(token) is not None
    operators, by = world.access.operators, world.by[Role.ADMIN]
    person = world.person(Role.OPERATOR)
    await world.tx(lambda conn: operators.suspend(conn, by, person, "left"))
    await twin.refresh()
    for token in tokens:
        assert twin.cached(token) is None
        assert await twin.principal(token) is None
    world.clock.advance(timedelta(seconds=30))
    assert await refused(world.login(Role.OPERATOR, totp)) is LOGIN_REFUSED


async def test_nobody_suspends_themselves(world: World) -> None:
    operators, by = world.access.operators, world.by[Role.ADMIN]
    mine = world.person(Role.ADMIN)
    suspending = world.tx(lambda conn: operators.suspend(conn, by, mine, "bye"))
    assert await refused(suspending) is SELF_SUSPENSION


async def test_a_person_who_lost_their_phone_comes_back_by_two_others(world: World) -> None:
    lost = await world.enrol(Role.OPERATOR)
    session = (await world.login(Role.OPERATOR, lost)).token
    by, person = world.by[Role.ADMIN], world.person(Role.OPERATOR)
    operators = world.access.operators
    asked = await world.tx(lambda conn: operators.reset(conn, by, person, "phone lost"))
    assert await world.access.ring.principal(session) is not None
    await world.approve(world.by[Role.APPROVER], asked.approval.id)
    await world.access.ring.catch_up()
    assert await world.access.ring.principal(session) is None
    world.clock.advance(timedelta(seconds=30))
    assert await refused(world.login(Role.OPERATOR, lost)) is LOGIN_REFUSED
    enrolled = await operators.enrol(Enrolment(asked.invitation, "张三", "quite another one"))
    found = authenticator(enrolled.totp_uri)
    assert isinstance(await world.login(Role.OPERATOR, found, "quite another one"), Opened)


async def test_an_old_invitation_dies_with_a_reset_and_a_suspension(world: World) -> None:
    by, person = world.by[Role.ADMIN], world.person(Role.OPERATOR)
    operators = world.access.operators
    old = Enrolment(world.founders[Role.OPERATOR].invitation, "n", PASSWORD)
    asked = await world.tx(lambda conn: operators.reset(conn, by, person, "why"))
    await world.approve(world.by[Role.APPROVER], asked.approval.id)
    assert await refused(operators.enrol(old)) is INVITATION_REFUSED
    await world.tx(lambda conn: operators.suspend(conn, by, person, "left"))
    again = Enrolment(asked.invitation, "n", PASSWORD)
    assert await refused(operators.enrol(again)) is INVITATION_REFUSED


async def test_the_machine_can_rescue_the_last_one(world: World) -> None:
    invitation = await world.tx(lambda conn: world.access.operators.rescue(conn, "admin"))
    await world.access.operators.enrol(Enrolment(invitation, "n", PASSWORD))
    rescuing = world.tx(lambda conn: world.access.operators.rescue(conn, "nobody"))
    assert await refused(rescuing) is NOT_FOUND


async def test_operators_are_listed_within_ones_scope(world: World) -> None:
    by = await world.principal(await world.key(Role.ADMIN, world.scoped(roles=[Role.ADMIN])))
    invited = await invite(world)
    await world.approve(world.by[Role.APPROVER], invited.approval.id)
    async with world.db.read() as conn:
        mine = await world.access.operators.find(conn, by, limit=50)
        everybody = await world.access.operators.find(conn, world.by[Role.ADMIN], limit=50)
        waiting = await world.access.operators.find(
            conn, world.by[Role.ADMIN], state=OperatorState.ACTIVE, limit=50
        )
    assert [one.id for one in mine] == [invited.operator]
    assert len(everybody) == 8
    assert waiting == []
    assert all(one.created_at <= now(world.clock) for one in everybody)
