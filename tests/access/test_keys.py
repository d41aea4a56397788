"""API keys: issued, used, revoked; on a real database."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from kabao.access.model import (
    APPROVAL_DECIDED,
    BEYOND_OWN_SCOPE,
    GRANT_EMPTY,
    Grant,
    KeyState,
    NewKey,
    Role,
    Scope,
    grant,
)
from kabao.access.ops import TRUST_S
from kabao.access.ops import ring as ring_module
from kabao.base.clock import now
from kabao.base.errors import INVALID, NOT_FOUND, KabaoError
from kabao.base.ids import to_edge

from .make import World, together, with_verbs


async def issue(world: World, by: Any, given: Grant, **more: Any) -> Any:
    new = NewKey("till", given, **more)
    return await world.tx(lambda conn: world.access.keys.issue(conn, by, new, reason="why"))


async def test_a_key_opens_what_it_was_given(world: World) -> None:
    token = await world.key(Role.MERCHANT, world.scoped(stores=[world.store], roles=[Role.CASHIER]))
    principal = await world.principal(token)
    assert principal.company == world.company
    assert principal.companies == {world.company}
    assert principal.stores == {world.store}
    assert "payments:write" in principal.verbs
    assert "payments:refund" not in principal.verbs
    assert world.access.ring.cached(token) == principal


async def test_no_token_lies_in_the_database(world: World) -> None:
    token = await world.key(Role.MERCHANT)
    async with world.db.read() as conn:
        rows = await (
            await conn.execute("select to_jsonb(k)::text from access.api_key k")
        ).fetchall()
    dump = "".join(row[0] for row in rows)
    assert token[-32:] not in dump
    assert token[-32:].encode().hex() not in dump


@pytest.mark.parametrize("token", ["", "kb_live_", "kb_live_" + "x" * 40, "kb_ses_" + "x" * 40])
async def test_what_is_no_key_opens_nothing(world: World, token: str) -> None:
    assert world.access.ring.cached(token) is None
    assert await world.access.ring.principal(token) is None


async def test_an_invitation_is_no_key(world: World) -> None:
    invitation = world.founders[Role.ADMIN].invitation
    assert await world.access.ring.principal(invitation) is None


async def test_a_key_expires_to_the_second(world: World) -> None:
    token = await world.key(Role.MERCHANT, expires_at=now(world.clock) + timedelta(hours=1))
    ring = world.access.ring
    await world.principal(token)
    world.clock.advance(timedelta(hours=1, seconds=-1))
    assert ring.cached(token) == await ring.principal(token) is not None
    for _ in range(2):
        world.clock.advance(timedelta(seconds=1))
        assert ring.cached(token) is None
        assert await ring.principal(token) is None


# --- giving -----------------------------------------------------------------


async def test_alone_one_gives_a_program_what_one_has(world: World) -> None:
    by = world.by[Role.ADMIN]
    issued = await issue(world, by, grant(Scope(world.company), verbs=["api-keys:read"]))
    assert issued.approval is None
    principal = await world.principal(issued.token)
    assert principal.verbs == {"api-keys:read", "sessions:own"}


async def test_what_one_lacks_takes_a_second_person(world: World) -> None:
    admin, approver = world.by[Role.ADMIN], world.by[Role.APPROVER]
    issued = await issue(world, admin, grant(Scope(world.company), [Role.MERCHANT]))
    assert issued.approval is not None
    assert await world.access.ring.principal(issued.token) is None
    done = await world.approve(approver, issued.approval.id)
    assert done.result is not None
    assert to_edge("key", issued.key.id).encode() in done.result
    assert "payments:write" in (await world.principal(issued.token)).verbs
    with pytest.raises(KabaoError) as no:
        await world.approve(approver, issued.approval.id)
    assert no.value.code is APPROVAL_DECIDED


async def test_nobody_approves_their_own_key(world: World) -> None:
    """An approver who may issue keys still cannot give themselves more."""
    own = with_verbs(world.by[Role.APPROVER], "api-keys:write", "approvals:decide")
    issued = await issue(world, own, grant(Scope(world.company), [Role.OPERATOR]))
    with pytest.raises(KabaoError) as no:
        await world.approve(own, issued.approval.id)
    assert no.value.code.name == "self_approval"
    assert await world.access.ring.principal(issued.token) is None


async def test_nothing_is_given_beyond_ones_own_scope(world: World) -> None:
    token = await world.key(Role.ADMIN, world.scoped(stores=[world.store], roles=[Role.ADMIN]))
    by = await world.principal(token)
    for scope in (
        Scope(world.company),
        Scope(world.company, frozenset({world.company})),
        Scope(world.company, frozenset({world.company, world.other}), frozenset({world.store})),
        Scope(world.other, frozenset({world.company}), frozenset({world.store})),
        Scope(world.company, frozenset({world.company}), frozenset({world.other_store})),
    ):
        with pytest.raises(KabaoError) as no:
            await issue(world, by, grant(scope, verbs=["api-keys:read"]))
        assert no.value.code is BEYOND_OWN_SCOPE


async def test_a_grant_names_what_there_is(world: World) -> None:
    by, company = world.by[Role.ADMIN], frozenset({world.company})
    for given, code in (
        (grant(Scope("0" * 32), verbs=["api-keys:read"]), NOT_FOUND),
        (grant(Scope(world.company, company, frozenset({"0" * 32})), [Role.ADMIN]), NOT_FOUND),
        (
            grant(Scope(world.company, company, frozenset({world.other_store})), [Role.ADMIN]),
            INVALID,
        ),
        (grant(Scope(world.company), verbs=["cards:steal"]), INVALID),
        (grant(Scope(world.company)), GRANT_EMPTY),
    ):
        with pytest.raises(KabaoError) as no:
            await issue(world, by, given)
        assert no.value.code is code


async def test_a_key_is_not_issued_dead(world: World) -> None:
    given = grant(Scope(world.company), verbs=["api-keys:read"])
    with pytest.raises(KabaoError) as no:
        await issue(world, world.by[Role.ADMIN], given, expires_at=now(world.clock))
    assert no.value.field == "expires_at"


async def test_keys_outside_ones_scope_are_unknown(world: World) -> None:
    token = await world.key(Role.ADMIN, world.scoped(roles=[Role.ADMIN]))
    by = await world.principal(token)
    async with world.db.read() as conn:
        seen = await world.access.keys.find(conn, by, limit=50)
        everything = await world.access.keys.find(conn, world.by[Role.ADMIN], limit=50)
        (group_key,) = [k for k in everything if k.owner == world.person(Role.AUDITOR)]
        with pytest.raises(KabaoError) as no:
            await world.access.keys.get(conn, by, group_key.id)
    assert no.value.code is NOT_FOUND
    assert [key.companies for key in seen] == [(world.company,)]
    assert len(everything) == 8


# --- taking away ------------------------------------------------------------


async def revoke(world: World, token: str) -> Any:
    principal = await world.principal(token)
    by = world.by[Role.ADMIN]
    return await world.tx(lambda conn: world.access.keys.revoke(conn, by, principal.id))


async def test_a_revoked_key_is_dead_in_every_process_within_a_second(world: World) -> None:
    """The other process's memory is not trusted for longer, whether it looks or not."""
    token = await world.key(Role.MERCHANT)
    seconds = [0.0]
    twin = world.twin(monotonic=lambda: seconds[0]).access.ring
    assert await twin.principal(token) is not None
    assert (await revoke(world, token)).state_at(now(world.clock)) is KeyState.REVOKED
    assert twin.cached(token) is not None  # nobody has looked yet
    seconds[0] = TRUST_S + 0.001
    assert twin.cached(token) is None
    assert await twin.principal(token) is None
    assert twin.cached(token) is None


async def test_looking_for_revocations_empties_memory(world: World) -> None:
    token, other = await world.key(Role.MERCHANT), await world.key(Role.CASHIER)
    twin = world.twin().access.ring
    for one in (token, other):
        assert await twin.principal(one) is not None
    assert await twin.refresh() is False
    await revoke(world, token)
    assert await twin.refresh() is True
    assert twin.cached(token) is None
    assert await twin.principal(token) is None
    assert await twin.principal(other) is not None


async def test_a_slow_reader_does_not_put_back_what_was_revoked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is read, revoked, memory emptied; only then the reader goes on."""
    token = await world.key(Role.MERCHANT)
    twin = world.twin().access.ring
    await twin.refresh()
    read, go_on = asyncio.Event(), asyncio.Event()
    key_bearer = ring_module.sql.key_bearer

    async def slow(conn: Any, hashed: bytes) -> Any:
        found = await key_bearer(conn, hashed)
        read.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(ring_module.sql, "key_bearer", slow)
    reader = asyncio.create_task(twin.principal(token))
    await read.wait()
    monkeypatch.setattr(ring_module.sql, "key_bearer", key_bearer)
    await revoke(world, token)
    await twin.refresh()
    go_on.set()
    await reader
    assert twin.cached(token) is None
    assert await twin.principal(token) is None


async def test_revoking_twice_is_once(world: World) -> None:
    token = await world.key(Role.MERCHANT)
    ident, by = (await world.principal(token)).id, world.by[Role.ADMIN]
    dead = await together(
        world.tx(lambda conn: world.access.keys.revoke(conn, by, ident)) for _ in range(10)
    )
    assert len({key.revoked_at for key in dead}) == 1
    async with world.db.read() as conn:
        row = await (
            await conn.execute(
                "select count(*) from access.audit_log where verb = 'api-keys:revoke'"
            )
        ).fetchone()
    assert row == (1,)


async def test_memory_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_module, "KEPT_MAX", 3)
    tokens = [await world.key(Role.CASHIER) for _ in range(5)]
    ring = world.twin().access.ring
    for token in tokens:
        assert await ring.principal(token) is not None
    assert [ring.cached(token) is not None for token in tokens] == [False, False, True, True, True]


async def test_the_last_use_of_a_key_is_noted_coarsely(world: World) -> None:
    seconds = [0.0]
    ring = world.twin(monotonic=lambda: seconds[0]).access.ring
    token = await world.key(Role.MERCHANT)

    async def used_at() -> Any:
        async with world.db.read() as conn:
            key = await world.access.keys.get(conn, world.by[Role.ADMIN], ident)
        return key.used_at

    async def use() -> None:
        assert ring.cached(token) or await ring.principal(token)
        seconds[0] += ring_module.FLUSH_S
        await ring.refresh()

    found = await ring.principal(token)
    assert found is not None
    ident = found.id
    await use()
    first = await used_at()
    assert first == now(world.clock)
    world.clock.advance(timedelta(minutes=59))
    await use()
    assert await used_at() == first
    world.clock.advance(timedelta(minutes=1))
    await use()
    assert await used_at() == now(world.clock)
