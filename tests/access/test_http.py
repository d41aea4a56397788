"""Access through its HTTP door."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from kabao.access.model import ROLES, Role
from kabao.base.ids import to_edge

from . import make
from .make import PASSWORD, Caller, World, authenticator


class Doors:
    """A caller for each role, and one without a key."""

    def __init__(self, world: World, client: httpx.AsyncClient) -> None:
        self.world, self.client = world, client
        self.of = {role: Caller(client, f.key) for role, f in world.founders.items()}
        self.nobody = Caller(client, None)

    def caller(self, token: str) -> Caller:
        return Caller(self.client, token)


@pytest.fixture
async def doors(world: World) -> AsyncIterator[Doors]:
    async with make.client(world) as client:
        yield Doors(world, client)


def body(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def problem(answer: httpx.Response, status: int, code: str) -> Any:
    found = body(answer, status)
    assert found["code"] == code
    return found


async def logged_in(doors: Doors, role: Role) -> Caller:
    """A session of the person in a role, made through the door."""
    invitation = doors.world.founders[role].invitation
    said = {"invitation": invitation, "name": "王五", "password": PASSWORD}
    enrolled = body(await doors.nobody.post("/v1/enrolments", said), 201)
    totp = authenticator(enrolled["totp_uri"])
    login = {"login": role.value, "password": PASSWORD, "totp": doors.world.code(totp)}
    return doors.caller(body(await doors.nobody.post("/v1/sessions", login), 201)["token"])


@pytest.mark.row("ATK-17")
async def test_a_person_logs_in_looks_and_logs_out(doors: Doors) -> None:
    me = await logged_in(doors, Role.OPERATOR)
    who = body(await me.get("/v1/sessions/current"))
    assert who["id"] == doors.world.person(Role.OPERATOR)
    assert set(who["verbs"]) == ROLES[Role.OPERATOR] | {"sessions:own"}
    assert body(await me.get("/v1/approvals")) == {"data": [], "next_cursor": None}
    assert (await me.delete("/v1/sessions/current")).status_code == 204
    problem(await me.get("/v1/sessions/current"), 401, "unauthenticated")


@pytest.mark.row("ATK-3", "R-01")
async def test_a_wrong_login_says_nothing(doors: Doors) -> None:
    await logged_in(doors, Role.OPERATOR)
    seen = []
    for login in ("operator", "nobody", "cashier"):
        said = {"login": login, "password": "wrong password!", "totp": "123456"}
        found = problem(await doors.nobody.post("/v1/sessions", said), 422, "login_refused")
        seen.append({k: v for k, v in found.items() if k != "request_id"})
    assert seen[0] == seen[1] == seen[2]


async def test_changing_ones_password_ends_the_session(doors: Doors) -> None:
    me = await logged_in(doors, Role.OPERATOR)
    said = {"old": PASSWORD, "new": "another good secret"}
    assert (await me.post("/v1/sessions/current/password", said)).status_code == 204
    problem(await me.get("/v1/sessions/current"), 401, "unauthenticated")


@pytest.mark.row("ATK-11")
async def test_a_key_for_the_till_from_asking_to_revoking(doors: Doors) -> None:
    admin, approver = doors.of[Role.ADMIN], doors.of[Role.APPROVER]
    store = to_edge("sto", doors.world.store)
    said = {
        "name": "till 1",
        "grant": {"roles": ["cashier"], "stores": [store]},
        "reason": "a new till",
    }
    asked = body(await admin.post("/v1/api-keys", said, key="one"), 201)
    assert body(await admin.post("/v1/api-keys", said, key="one"), 201) == asked
    assert asked["key"]["state"] == "proposed"
    assert asked["key"]["grant"]["stores"] == [store]
    till = doors.caller(asked["token"])
    problem(await till.get("/v1/sessions/current"), 401, "unauthenticated")

    approval = body(await approver.get(f"/v1/approvals/{asked['approval']}"))
    assert approval["kind"] == "role_change"
    assert approval["payload"]["key"]["name"] == "till 1"
    assert asked["token"] not in str(approval)
    path = f"/v1/approvals/{asked['approval']}/approve"
    done = body(await approver.post(path, {"digest": approval["digest"]}, key="yes"))
    assert (done["state"], done["result"]["key"]) == ("executed", asked["key"]["id"])
    assert body(await approver.post(path, {"digest": approval["digest"]}, key="yes")) == done
    problem(await approver.post(path), 409, "approval_decided")

    who = body(await till.get("/v1/sessions/current"))
    assert who["stores"] == [store]
    listed = body(await admin.get("/v1/api-keys"))["data"]
    assert [key["state"] for key in listed if key["id"] == asked["key"]["id"]] == ["live"]
    dead = body(await admin.post(f"/v1/api-keys/{asked['key']['id']}/revoke"))
    assert dead["state"] == "revoked"
    problem(await till.get("/v1/sessions/current"), 401, "unauthenticated")


@pytest.mark.row("ATK-11")
async def test_nobody_is_both_maker_and_checker(doors: Doors) -> None:
    """An approver who is given the means to ask is refused, and that is in the log."""
    world = doors.world
    both = doors.caller(
        await world.key(Role.APPROVER, world.scoped(roles=[Role.APPROVER, Role.ADMIN]))
    )
    said = {"name": "x", "grant": {"roles": ["operator"]}, "reason": "for me"}
    asked = body(await both.post("/v1/api-keys", said), 201)
    path = f"/v1/approvals/{asked['approval']}"
    for caller in (both, doors.of[Role.APPROVER]):
        refused = problem(await caller.post(f"{path}/approve"), 422, "self_approval")
        assert refused["rule"] == "ATK-11"
        problem(await caller.post(f"{path}/refuse", {"reason": "x"}), 422, "self_approval")
    assert body(await doors.of[Role.APPROVER].get(path))["state"] == "pending"
    log = body(await doors.of[Role.AUDITOR].get("/v1/audit-log", approval=asked["approval"]))
    person = to_edge("opr", world.person(Role.APPROVER))
    assert [(e["verb"], e["outcome"], e["code"]) for e in log["data"]] == [
        ("approvals:refuse", "refused", "self_approval"),
        ("approvals:approve", "refused", "self_approval"),
    ] * 2 + [("approvals:ask", "done", "")]
    assert {entry["actor"] for entry in log["data"]} == {person}
    assert all(entry["request_id"] for entry in log["data"])


async def test_a_new_colleague(doors: Doors) -> None:
    admin, approver = doors.of[Role.ADMIN], doors.of[Role.APPROVER]
    said = {"login": "li.si", "grant": {"roles": ["call_centre"]}, "reason": "hired"}
    invited = body(await admin.post("/v1/operators", said), 201)
    path = f"/v1/operators/{invited['operator']}"
    problem(await admin.get(path), 404, "not_found")
    enrolment = {"invitation": invited["invitation"], "name": "李四", "password": PASSWORD}
    problem(await doors.nobody.post("/v1/enrolments", enrolment), 422, "invitation_refused")
    body(await approver.post(f"/v1/approvals/{invited['approval']}/approve"))
    assert body(await admin.get(path))["state"] == "invited"
    body(await doors.nobody.post("/v1/enrolments", enrolment), 201)
    found = body(await admin.get(path))
    assert (found["state"], found["name"]) == ("active", "李四")

    more = {"grant": {"roles": ["call_centre", "auditor"]}, "reason": "promoted"}
    changed = body(await admin.post(f"{path}/change", more))
    assert changed["approval"].startswith("apr_")
    assert changed["operator"]["grant"]["roles"] == ["call_centre"]
    reset = body(await admin.post(f"{path}/reset", {"reason": "lost"}))
    assert reset["invitation"].startswith("kb_inv_")
    gone = body(await admin.post(f"{path}/suspend", {"reason": "left"}))
    assert gone["state"] == "suspended"
    body(await approver.post(f"/v1/approvals/{reset['approval']}/approve"))
    states = [one["state"] for one in body(await admin.get("/v1/operators"))["data"]]
    assert states == ["invited"] * 8


async def test_lists_are_paged(doors: Doors) -> None:
    admin = doors.of[Role.ADMIN]
    for path, count in (("/v1/operators", 7), ("/v1/api-keys", 7)):
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = body(await admin.get(path, limit=3, **cursor))
            seen += [one["id"] for one in page["data"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert len(seen) == len(set(seen)) == count
    auditor = doors.of[Role.AUDITOR]
    first = body(await auditor.get("/v1/audit-log", limit=4))
    second = body(await auditor.get("/v1/audit-log", limit=4, cursor=first["next_cursor"]))
    numbers = [entry["seq"] for entry in first["data"] + second["data"]]
    assert numbers == sorted(numbers, reverse=True)


ROUTES = [
    ("GET", "/v1/operators", "operators:read"),
    ("POST", "/v1/operators", "operators:write"),
    ("GET", "/v1/operators/opr_x", "operators:read"),
    ("POST", "/v1/operators/opr_x/change", "operators:write"),
    ("POST", "/v1/operators/opr_x/reset", "operators:write"),
    ("POST", "/v1/operators/opr_x/suspend", "operators:write"),
    ("GET", "/v1/api-keys", "api-keys:read"),
    ("POST", "/v1/api-keys", "api-keys:write"),
    ("GET", "/v1/api-keys/key_x", "api-keys:read"),
    ("POST", "/v1/api-keys/key_x/revoke", "api-keys:write"),
    ("GET", "/v1/approvals", "approvals:read"),
    ("GET", "/v1/approvals/apr_x", "approvals:read"),
    ("POST", "/v1/approvals/apr_x/approve", "approvals:decide"),
    ("POST", "/v1/approvals/apr_x/refuse", "approvals:decide"),
    ("GET", "/v1/audit-log", "audit-log:read"),
    ("GET", "/v1/roles", "sessions:own"),
    ("GET", "/v1/sessions/current", "sessions:own"),
]


@pytest.mark.row("ATK-8")
async def test_every_route_and_every_role(doors: Doors) -> None:
    """403 before any look-up for a verb one lacks; never for one that one has."""
    for method, path, verb in ROUTES:
        for role, caller in doors.of.items():
            call = caller.get(path) if method == "GET" else caller.post(path)
            status = (await call).status_code
            allowed = verb in ROLES[role] or verb == "sessions:own"
            assert (status != 403) is allowed, (method, path, role, status)
        call = doors.nobody.get(path) if method == "GET" else doors.nobody.post(path)
        assert (await call).status_code == 401


@pytest.mark.row("ATK-8")
async def test_malformed_ids_and_unknown_ones_are_one_answer(doors: Doors) -> None:
    admin = doors.of[Role.ADMIN]
    for path in ("/v1/api-keys/key_x", f"/v1/api-keys/key_{'0' * 32}", "/v1/operators/card_x"):
        problem(await admin.get(path), 404, "not_found")
    problem(await doors.of[Role.AUDITOR].get("/v1/approvals/apr_x"), 404, "not_found")


UNREADABLE: list[tuple[str, Any, int, str]] = [
    ("api-keys", {"name": "x", "grant": {}, "reason": "r", "balance": 1}, 400, "balance"),
    ("api-keys", {"name": "x", "grant": {}, "reason": "r"}, 422, "roles"),
    ("api-keys", {"name": "", "grant": {}, "reason": "r"}, 422, "name"),
    ("api-keys", {"name": "x", "grant": {"roles": ["god"]}, "reason": "r"}, 422, "grant.roles[0]"),
    ("api-keys", {"name": "x", "grant": {"verbs": ["a:b"]}, "reason": "r"}, 422, "verbs"),
    ("operators", {"login": ".a", "grant": {"roles": ["cashier"]}, "reason": "r"}, 422, "login"),
    ("operators", {"login": "abc", "grant": {"roles": ["cashier"]}}, 400, "reason"),
]


async def test_what_cannot_be_read_names_its_field(doors: Doors) -> None:
    for path, said, status, field in UNREADABLE:
        found = body(await doors.of[Role.ADMIN].post(f"/v1/{path}", said), status)
        assert found["field"] == field


async def test_roles_are_told(doors: Doors) -> None:
    found = body(await doors.of[Role.CASHIER].get("/v1/roles"))
    assert {one["role"]: set(one["verbs"]) for one in found["data"]} == {
        role.value: set(verbs) for role, verbs in ROLES.items()
    }
    assert found["verbs"]["cards:read"]
