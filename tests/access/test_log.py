"""The audit log: what is written, what nobody can change, and what is found if they do."""

from typing import Any

import msgspec
import psycopg
import pytest
from msgspec.structs import replace

from kabao.access.model import (
    SELF_APPROVAL,
    Deed,
    Entry,
    Finding,
    LogFilter,
    Login,
    NewKey,
    Origin,
    Outcome,
    Role,
    Scope,
    grant,
)
from kabao.access.model.log import chain
from kabao.access.ops import log as log_module
from kabao.access.sql import log as sql
from kabao.base.db import Conn
from kabao.base.errors import KabaoError
from kabao.base.ids import to_edge

from .make import World, together

ORIGIN = Origin("10.0.0.7", "req_1")


async def entries(world: World, by: Role = Role.AUDITOR, **wanted: Any) -> list[Entry]:
    async with world.db.read() as conn:
        return await world.access.log.entries(
            conn, world.by[by], wanted=LogFilter(**wanted), before=None, limit=200
        )


async def findings(world: World) -> list[Finding]:
    async with world.db.read() as conn:
        return await world.access.log.verify(conn)


async def write(world: World, n: int = 1, **said: Any) -> None:
    deed = Deed(**({"verb": "cards:find", "subject": f"card_{n}"} | said))
    by = world.by[Role.CALL_CENTRE]
    await world.tx(lambda conn: world.access.log.write(conn, by, deed, ORIGIN))


async def test_a_deed_is_written_with_all_there_is_to_know(world: World) -> None:
    await write(world, 7, reason="the customer called")
    last = (await entries(world))[0]
    assert replace(last, digest=b"", seal=b"") == Entry(
        seq=last.seq,
        at=last.at,
        company=world.company,
        actor=world.person(Role.CALL_CENTRE),
        via=world.by[Role.CALL_CENTRE].id,
        verb="cards:find",
        subject="card_7",
        reason="the customer called",
        approval=None,
        outcome=Outcome.DONE,
        code="",
        address="10.0.0.7",
        request_id="req_1",
    )


async def test_a_look_is_logged_by_whoever_only_knows_an_id(world: World) -> None:
    """As `customers.on_look` does."""
    by = world.by[Role.CALL_CENTRE].id
    look = world.access.log.looked
    await world.tx(lambda conn: look(conn, by, "customers:find", "cus_1", origin=ORIGIN))
    last = (await entries(world))[0]
    assert (last.actor, last.verb) == (world.person(Role.CALL_CENTRE), "customers:find")
    assert last.company == world.company


async def test_rows_written_at_once_are_one_chain(world: World) -> None:
    before = len(await entries(world))
    await together(write(world, n) for n in range(50))
    found = await entries(world)
    assert len(found) == before + 50
    assert [entry.seq for entry in reversed(found)] == list(range(1, before + 51))
    assert await findings(world) == []


async def test_a_log_that_grows_while_it_is_read_is_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "PAGE", 3)
    answers = await together(
        [*(write(world, n) for n in range(30)), *(findings(world) for _ in range(10))]
    )
    assert answers == [None] * 30 + [[]] * 10


async def test_a_deed_that_is_rolled_back_leaves_no_row_and_no_gap(world: World) -> None:
    async def fail(conn: Conn) -> None:
        await world.access.log.write(conn, world.by[Role.ADMIN], Deed(verb="x:y"))
        raise RuntimeError

    before = len(await entries(world))
    with pytest.raises(RuntimeError):
        await world.tx(fail)
    await write(world)
    assert len(await entries(world)) == before + 1
    assert await findings(world) == []


async def test_a_refusal_is_logged_although_nothing_happened(world: World) -> None:
    deed = Deed(verb="approvals:approve", subject="apr_1")
    await world.access.log.refused(world.by[Role.OPERATOR], deed, SELF_APPROVAL.error(), ORIGIN)
    last = (await entries(world))[0]
    assert (last.outcome, last.code) == (Outcome.REFUSED, "self_approval")


async def test_nobody_edits_the_log_by_ordinary_means(world: World) -> None:
    for statement in (
        "update access.audit_log set reason = 'x' where seq = 1",
        "update access.audit_log set reason = 'x'",
        "delete from access.audit_log",
        "truncate access.audit_log",
    ):

        async def edit(conn: Conn, statement: str = statement) -> None:
            await conn.execute(statement.encode())

        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only ever added to"):
            await world.tx(edit)


async def _grown(world: World) -> int:
    for n in range(20):
        await write(world, n)
    assert await findings(world) == []
    return (await entries(world))[0].seq


class Undo(Exception):  # noqa: N818 -- nothing went wrong
    """Takes an edit back."""


async def after(world: World, *statements: str) -> list[Finding]:
    """What is found after statements that nobody can run through Kabao; they are undone."""
    found: list[Finding] = []

    async def edit(conn: Conn) -> None:
        await conn.execute("alter table access.audit_log disable trigger user")
        for statement in statements:
            await conn.execute(statement.encode())
        found.extend(await world.access.log.verify(conn))
        raise Undo

    with pytest.raises(Undo):
        await world.tx(edit)
    return found


async def test_an_edited_row_is_named_whatever_was_edited(world: World) -> None:
    await _grown(world)
    for column in (
        "reason = 'other'",
        "subject = 'card_other'",
        "actor = null",
        "via = null",
        "at = at + interval '1 microsecond'",
        "verb = 'cards:block'",
        "outcome = 'refused'",
        "code = 'x'",
        "approval = via",
        "address = ''",
        "request_id = ''",
        "company = null",
    ):
        found = await after(world, f"update access.audit_log set {column} where seq = 20")
        assert found == [Finding(20, "the row is not what was written")], column
    for column in ("digest = seal", "seal = digest"):
        assert (await after(world, f"update access.audit_log set {column} where seq = 20"))[
            0
        ].seq == 20
    assert await findings(world) == []


async def test_rows_that_are_gone_moved_or_added_are_named(world: World) -> None:
    last = await _grown(world)
    gone = "delete from access.audit_log where seq = 20"
    assert (await after(world, gone))[0] == Finding(20, "rows 20 to 20 are missing")
    closed = [
        f"update access.audit_log set seq = {n - 1} where seq = {n}" for n in range(21, last + 1)
    ]
    assert (await after(world, gone, *closed))[0].seq == 20
    swapped = await after(
        world,
        "update access.audit_log set seq = 10000 where seq = 20",
        "update access.audit_log set seq = 20 where seq = 21",
        "update access.audit_log set seq = 21 where seq = 10000",
    )
    assert {finding.seq for finding in swapped} >= {20, 21}
    added = await after(
        world,
        "insert into access.audit_log select seq + 1, at, company, actor, via, verb, subject,"
        " reason, approval, outcome, code, address, request_id, digest, seal"
        f" from access.audit_log where seq = {last}",
    )
    assert added[0].seq == last + 1
    cut = await after(world, "delete from access.audit_log where seq > 20")
    assert cut == [Finding(21, f"rows 21 to {last} are missing")]
    emptied = await after(world, "delete from access.audit_log")
    assert emptied == [Finding(1, f"rows 1 to {last} are missing")]
    assert await findings(world) == []


async def test_a_log_rewritten_with_fresh_digests_is_found_by_its_seals(world: World) -> None:
    """Who can write the whole table can compute every digest, but not the MAC."""
    await _grown(world)

    async def rewrite(conn: Conn) -> None:
        rows = await sql.entries_after(conn, 0, 1000)
        await conn.execute("alter table access.audit_log disable trigger user")
        digest = bytes(32)
        for row in rows:
            made = replace(row, reason="rewritten") if row.seq == 20 else row
            digest = chain(digest, made)
            await conn.execute(
                "update access.audit_log set reason = %s, digest = %s where seq = %s",
                [made.reason, digest, made.seq],
            )
        await conn.execute("update access.audit_head set digest = %s", [digest])

    await world.tx(rewrite)
    assert (await findings(world))[0] == Finding(20, "the digest was made by somebody else")


async def test_the_head_pins_the_log_to_an_outside(world: World) -> None:
    await _grown(world)
    async with world.db.read() as conn:
        seq, digest = await world.access.log.head(conn)
    last = (await entries(world))[0]
    assert (last.seq, last.digest) == (seq, digest)


async def test_the_log_is_filtered_and_paged(world: World) -> None:
    for n in range(3):
        await write(world, n)
    person = world.person(Role.CALL_CENTRE)
    assert [e.subject for e in await entries(world, actor=person)] == ["card_2", "card_1", "card_0"]
    assert len(await entries(world, subject="card_1")) == 1
    assert len(await entries(world, verb="cards:find")) == 3
    assert await entries(world, verb="cards:block") == []
    newest = (await entries(world))[0]
    assert await entries(world, since=newest.at, verb="cards:find") != []
    assert await entries(world, until=newest.at, verb="cards:find") == []
    async with world.db.read() as conn:
        page = await world.access.log.entries(
            conn, world.by[Role.AUDITOR], wanted=LogFilter(), before=newest.seq, limit=1
        )
    assert [entry.seq for entry in page] == [newest.seq - 1]


async def test_a_companys_auditor_sees_its_own_rows(world: World) -> None:
    given = grant(Scope(world.other, frozenset({world.other})), [Role.AUDITOR])
    by = await world.principal(await world.key(Role.AUDITOR, given))
    await write(world, 1)
    await write(world, 2, company=world.other)
    async with world.db.read() as conn:
        found = await world.access.log.entries(
            conn, by, wanted=LogFilter(verb="cards:find"), before=None, limit=10
        )
    assert [entry.subject for entry in found] == ["card_2"]


async def test_what_people_do_is_in_the_log(world: World) -> None:
    """Every deed of this slice, with both people of an approval."""
    totp = await world.enrol(Role.OPERATOR)
    opened = await world.login(Role.OPERATOR, totp)
    by, access = await world.principal(opened.token), world.access
    with pytest.raises(KabaoError):
        await access.sessions.open(Login("operator", "wrong password", None))
    asked = await world.ask(by)
    await world.approve(world.by[Role.APPROVER], asked.id, reason="fine")
    admin, person = world.by[Role.ADMIN], world.person(Role.OPERATOR)
    new = NewKey("k", grant(Scope(world.company), verbs=["api-keys:read"]))
    issued = await world.tx(lambda conn: access.keys.issue(conn, admin, new))
    await world.tx(lambda conn: access.keys.revoke(conn, admin, issued.key.id))
    await world.tx(lambda conn: access.operators.suspend(conn, admin, person, "left"))
    found = [(e.verb, e.actor, e.outcome) for e in reversed(await entries(world))]
    operator, approver = person, world.person(Role.APPROVER)
    done, who = Outcome.DONE, world.person(Role.ADMIN)
    assert found[-8:] == [
        ("operators:enrol", operator, done),
        ("sessions:open", operator, done),
        ("sessions:open", operator, Outcome.REFUSED),
        ("approvals:ask", operator, done),
        ("approvals:approve", approver, done),
        ("api-keys:issue", who, done),
        ("api-keys:revoke", who, done),
        ("operators:suspend", who, done),
    ]
    approval = await entries(world, approval=asked.id)
    assert [(e.verb, e.subject, e.reason) for e in approval] == [
        ("approvals:approve", to_edge("apr", asked.id), "fine"),
        ("approvals:ask", to_edge("apr", asked.id), "why"),
    ]


async def test_guesses_do_not_fill_the_log(world: World) -> None:
    await world.enrol(Role.OPERATOR)
    before = len(await entries(world))
    for n in range(20):
        with pytest.raises(KabaoError):
            await world.access.sessions.open(Login("operator", f"guess {n}", None))
        with pytest.raises(KabaoError):
            await world.access.sessions.open(Login("nobody", f"guess {n}", None))
    assert len(await entries(world)) == before + 5


def test_secrets_do_not_show(world: World) -> None:
    founder = world.founders[Role.ADMIN]
    shown = repr(founder) + repr(Login("a", "secret password", "123456"))
    assert founder.key not in shown
    assert founder.invitation not in shown
    assert "secret password" not in shown
    assert msgspec.structs.asdict(founder)["key"] == founder.key
