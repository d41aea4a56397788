"""Events reach whoever may see them: signed, in order, again after a failure, and no one else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.adapters.webhooks.courier import HttpCourier
from kabao.app.telling import Telling
from kabao.base import outbox
from kabao.base.clock import RealClock, from_us, rfc3339
from kabao.base.db import fetch_value
from kabao.base.ids import from_edge
from kabao.base.outbox import Pending
from kabao.cases.model import NewCase
from kabao.notices.ops.sender import LANES_AT_ONCE, OF_A_COMPANY
from kabao.notices.sql import endpoints as sql
from tests.app.world import World, all_told, made, world

from .receiver import Receiver, receiving

PATH = "/v1/webhook-endpoints"


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    now = from_us(RealClock().now_us())  # the standard's library looks at its own clock
    async with world(database_url, tmp_path, now, webhooks_private=True) as w:
        yield w


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def endpoint(w: World, receiver: Receiver, who: str = "operator", **more: Any) -> Any:
    return await made(w.by(who).post(PATH, {"url": receiver.url} | more))


async def relayed(w: World) -> int:
    await all_told(w.kabao.db)
    return await w.kabao.telling.relay.round()


async def sent(w: World) -> None:
    """Everything that is due."""
    while await w.kabao.telling.sender.round():
        await w.kabao.telling.sender.settle()


async def told(w: World) -> None:
    await relayed(w)
    await sent(w)


async def shown(w: World, made: Any, who: str = "operator") -> Any:
    response = await w.by(who).get(f"{PATH}/{made['id']}")
    assert response.is_success, response.text
    return response.json()


@pytest.mark.row("T-19")
async def test_a_cards_story_arrives_signed_and_in_order(w: World, receiver: Receiver) -> None:
    hook = await endpoint(w, receiver)
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 1_234)
    await made(w.merchant.post(f"/v1/payments/{paid['id']}/void", {}))
    await told(w)
    assert [got.event["type"] for got in receiver.got] == [
        "card.created",
        "topup.confirmed",
        "topup.invoiceable",
        "payment.captured",
        "payment.voided",
    ]
    assert all(got.verified_by(hook["secret"]) for got in receiver.got)
    assert list(receiver.by_stream().values()) == [[0, 1, 2, 3, 4]]
    captured = receiver.got[3].event
    assert captured["data"] == {
        "payment": paid["id"],
        "card": card["id"],
        "store": w.store,
        "amount": 1_234,
        "currency": "CNY",
        "balance_after": 8_766,
    }
    assert captured["stream"].startswith("acc_")
    assert {"user-agent", "content-type", "webhook-signature"} <= receiver.got[0].headers.keys()
    for secret in (card["number"], card["pin"], hook["secret"]):
        assert all(secret.encode() not in got.body for got in receiver.got)
    await told(w)
    assert len(receiver.got) == 5, "nothing is told twice without need"


async def test_only_what_was_asked_for_and_only_from_then_on(w: World, receiver: Receiver) -> None:
    card = await w.card(await w.programme(), 10_000)
    await relayed(w)
    w.clock.advance(timedelta(seconds=1))
    await endpoint(w, receiver, event_types=["payment.*", "topup.voided"])
    await w.top_up(card["id"], 500)
    await w.pay(card, 1)
    await told(w)
    assert [got.event["type"] for got in receiver.got] == ["payment.captured"]


@pytest.mark.row("T-19")
async def test_an_endpoint_is_told_what_its_key_may_see(w: World) -> None:
    """The issuer its cards, a store what happens in it, another company nothing."""
    async with (
        receiving() as issuer,
        receiving() as visiting,
        receiving() as other,
        receiving() as till,
    ):
        await endpoint(w, issuer, "own-operator")
        await endpoint(w, visiting, "visiting-merchant")
        await endpoint(w, other, "other-operator")
        key = await made(
            w.by("admin").post(
                "/v1/api-keys",
                {
                    "name": "till",
                    "reason": "a test",
                    "grant": {
                        "verbs": ["webhook-endpoints:write", "payments:read", "topups:read"],
                        "stores": [w.store],
                    },
                },
            )
        )
        if key["approval"] is not None:
            await made(w.approve(key["approval"]))
        w.keys["till"] = key["token"]
        await endpoint(w, till, "till")
        card = await w.card(await w.programme(), 10_000)
        await w.pay(card, 1)
        await told(w)
        every = ["card.created", "topup.confirmed", "topup.invoiceable", "payment.captured"]
        in_store = ["topup.confirmed", "payment.captured"]
        assert [got.event["type"] for got in issuer.got] == every
        assert [got.event["type"] for got in visiting.got] == every[1:], "sees no cards"
        assert [got.event["type"] for got in till.got] == in_store
        assert other.got == []


async def limited(w: World, name: str, verbs: list[str]) -> None:
    """A key of the whole group's with these verbs only."""
    grant = {"verbs": ["webhook-endpoints:read", "webhook-endpoints:write", "events:read", *verbs]}
    body = {"name": name, "reason": "a test", "grant": grant}
    key = await made(w.by("admin").post("/v1/api-keys", body))
    if key["approval"] is not None:
        await made(w.approve(key["approval"]))
    w.keys[name] = key["token"]


async def test_no_event_tells_what_its_own_door_would_not(w: World, receiver: Receiver) -> None:
    """Whoever may not see cards and cases is told neither, nor takes over an endpoint that is."""
    await limited(w, "payer", ["payments:read"])
    hook = await endpoint(w, receiver, "payer")
    async with receiving() as whole:
        all_of_it = await endpoint(w, whole, "operator")
        await w.pay(await w.card(await w.programme(), 1_000), 1)
        case = NewCase(
            kind="notices.endpoint_failing",
            subject=hook["id"],
            company=from_edge("com", w.company),
            key="a test",
        )
        async with w.kabao.db.transaction() as conn:
            await w.kabao.cases.open_in(conn, case)
        await told(w)
        assert {"card.created", "case.opened"} <= {got.event["type"] for got in whole.got}
    assert [got.event["type"] for got in receiver.got] == ["payment.captured"]
    listed = (await made(w.by("payer").get("/v1/events")))["data"]
    assert [event["type"] for event in listed] == ["payment.captured"]
    assert [one["id"] for one in (await made(w.by("payer").get(PATH)))["data"]] == [hook["id"]]
    hidden = await w.by("payer").get(f"{PATH}/{all_of_it['id']}")
    assert hidden.status_code == 404


@pytest.mark.row("T-19")
async def test_a_failing_card_waits_in_order_and_others_go_on(w: World, receiver: Receiver) -> None:
    await endpoint(w, receiver, event_types=["topup.confirmed"])
    programme = await w.programme()
    bad, good = [await w.card(programme) for _ in range(2)]
    for fen in (1_000, 2_000):
        await w.top_up(bad["id"], fen)
        await w.top_up(good["id"], fen)
    receiver.answer = lambda got: (500 if got.event["data"]["card"] == bad["id"] else 200, 0.0)
    await told(w)
    came = [(got.event["data"]["card"], got.event["data"]["amount"]) for got in receiver.got]
    assert sorted(came) == sorted([(bad["id"], 1_000), (good["id"], 1_000), (good["id"], 2_000)]), (
        "the second of the failing card has waited"
    )
    receiver.got.clear()
    await sent(w)
    assert receiver.got == [], "not before its pause is over"
    receiver.answer = lambda _: (200, 0.0)
    w.clock.advance(timedelta(seconds=6.1))
    await sent(w)
    assert [got.event["data"]["amount"] for got in receiver.got] == [1_000, 2_000]
    assert {got.event["data"]["card"] for got in receiver.got} == {bad["id"]}


async def test_what_fails_too_often_is_dead_and_can_be_replayed(
    w: World, receiver: Receiver
) -> None:
    hook = await endpoint(w, receiver, event_types=["topup.confirmed"])
    card = await w.card(await w.programme())
    for fen in (1_000, 2_000):
        await w.top_up(card["id"], fen)
    receiver.answer = lambda got: (500 if got.event["data"]["amount"] == 1_000 else 200, 0.0)
    await relayed(w)
    for _ in range(20):
        await sent(w)
        w.clock.advance(timedelta(hours=1.2))  # it rests no longer than this
    await sent(w)
    amounts = [got.event["data"]["amount"] for got in receiver.got]
    assert amounts == [1_000] * 20 + [2_000], "then the next of the card goes on"
    (dead,) = (await made(w.operator.get("/v1/webhook-deliveries", status="dead")))["data"]
    assert (dead["attempts"], dead["last_http_status"], dead["endpoint"]) == (20, 500, hook["id"])
    whole = await made(w.operator.get(f"/v1/webhook-deliveries/{dead['id']}"))
    assert whole["body"].encode() == receiver.got[0].body
    receiver.answer = lambda _: (200, 0.0)
    await made(w.operator.post(f"/v1/webhook-deliveries/{dead['id']}/replay"))
    again = await w.operator.post(f"/v1/webhook-deliveries/{dead['id']}/replay")
    assert (again.status_code, again.json()["code"]) == (409, "delivery_is_waiting")
    await sent(w)
    assert receiver.got[-1].body == receiver.got[0].body
    assert receiver.got[-1].headers["webhook-id"] == dead["event"]
    done = await made(w.operator.get(f"/v1/webhook-deliveries/{dead['id']}"))
    assert (done["status"], done["last_error"]) == ("delivered", None)


async def test_a_slow_endpoint_holds_up_no_other(w: World, receiver: Receiver) -> None:
    async with receiving() as slow:
        slow.answer = lambda _: (200, 5.0)
        await endpoint(w, slow, event_types=["topup.confirmed"])
        await endpoint(w, receiver, event_types=["topup.confirmed"])
        programme = await w.programme()
        for _ in range(20):
            await w.top_up((await w.card(programme))["id"], 100)
        await relayed(w)
        async with asyncio.timeout(4):
            while len(receiver.got) < 20:
                await w.kabao.telling.sender.round()
                await asyncio.sleep(0.02)
        assert len(slow.got) <= LANES_AT_ONCE, "no more of its lanes at a time"
        await w.kabao.telling.sender.stop()


async def many(w: World, count: int) -> None:
    """Events that have nothing to do with each other, as a slice writes them."""
    events = [
        Pending("topup.confirmed", {"topup": w.kabao.ids.new(), "company": w.company, "amount": n})
        for n in range(count)
    ]
    async with w.kabao.db.transaction() as conn:
        await outbox.write(conn, events, w.clock.now_us())
    await relayed(w)


async def test_one_lane_after_the_other_is_sent_without_waiting(
    w: World, receiver: Receiver
) -> None:
    """What a healthy receiver is told is bounded by its answers, and by no tick of ours."""
    await endpoint(w, receiver, event_types=["topup.confirmed"])
    await many(w, 60)
    assert await w.kabao.telling.sender.round() == LANES_AT_ONCE
    await w.kabao.telling.sender.settle()
    assert len(set(receiver.ids())) == len(receiver.ids()) == 60


async def test_an_endpoint_that_is_paused_meanwhile_is_sent_no_further_lane(
    w: World, receiver: Receiver
) -> None:
    """Lanes that follow each other are sent to the endpoint as it is by then."""
    hook = await endpoint(w, receiver, event_types=["topup.confirmed"])
    await many(w, 60)
    receiver.answer = lambda _: (204, 0.3)
    await w.kabao.telling.sender.round()
    await receiver.until(lambda _: True)
    await made(w.operator.post(f"{PATH}/{hook['id']}/pause"))
    await w.kabao.telling.sender.settle()
    assert len(receiver.got) == LANES_AT_ONCE


async def test_a_slow_company_has_so_many_lanes_in_all(w: World) -> None:
    async with receiving() as slow:
        slow.answer = lambda _: (200, 5.0)
        for _ in range(3):
            await endpoint(w, slow, event_types=["topup.confirmed"])
        await many(w, 20)
        for _ in range(4):
            await w.kabao.telling.sender.round()
        async with asyncio.timeout(3):
            await slow.until(lambda _: len(slow.got) >= OF_A_COMPANY)
        assert await w.kabao.telling.sender.round() == 0
        assert len(slow.got) == OF_A_COMPANY
        await w.kabao.telling.sender.stop()


async def test_our_being_busy_is_nobodys_failure(
    w: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = await endpoint(w, receiver, event_types=["topup.confirmed"])
    await many(w, 3)
    with monkeypatch.context() as busy:
        busy.setattr(w.kabao.telling.sender, "_courier", HttpCourier(private=True, connections=0))
        await sent(w)
    assert receiver.got == []
    assert (await shown(w, hook))["failures"] == 0
    waiting = (await made(w.operator.get("/v1/webhook-deliveries", endpoint=hook["id"])))["data"]
    assert {one["attempts"] for one in waiting} == {0}
    w.clock.advance(timedelta(seconds=1))
    await sent(w)
    assert len(receiver.got) == 3


async def test_lanes_that_fail_together_are_one_failure(w: World, receiver: Receiver) -> None:
    """A blip of seconds does not mean an hour of silence."""
    hook = await endpoint(w, receiver, event_types=["topup.confirmed"])
    await many(w, 16)
    receiver.answer = lambda _: (503, 0.1)
    await sent(w)
    assert (await shown(w, hook))["failures"] == 3
    receiver.answer = lambda _: (204, 0.0)
    w.clock.advance(timedelta(seconds=6.1))
    await sent(w)
    assert len(set(receiver.ids())) == 16
    healthy = await shown(w, hook)
    assert (healthy["failures"], healthy["resting_until"]) == (0, None)


async def test_workers_share_the_sending(w: World, receiver: Receiver) -> None:
    """Each lane is one worker's at a time, so nothing comes twice or out of order."""
    await endpoint(w, receiver, event_types=["topup.confirmed"])
    programme = await w.programme()
    for card in [await w.card(programme) for _ in range(6)]:
        for fen in range(100, 105):
            await w.top_up(card["id"], fen)
    await relayed(w)
    other = Telling(w.kabao)
    receiver.answer = lambda _: (200, 0.01)
    while sum(await asyncio.gather(w.kabao.telling.sender.round(), other.sender.round())):
        await asyncio.gather(w.kabao.telling.sender.settle(), other.sender.settle())
    await other.stop()
    assert len(receiver.got) == len(set(receiver.ids())) == 30
    assert all(came == sorted(came) for came in receiver.by_stream().values())


async def test_what_a_dead_worker_held_is_sent_when_its_lease_is_over(
    w: World, receiver: Receiver
) -> None:
    await endpoint(w, receiver, event_types=["topup.confirmed"])
    card = await w.card(await w.programme())
    await w.top_up(card["id"], 100)
    await relayed(w)
    dead = Telling(w.kabao)
    receiver.answer = lambda _: (200, 30.0)
    assert await dead.sender.round() == 1
    await receiver.until(lambda _: True)
    await dead.stop()
    receiver.answer = lambda _: (200, 0.0)
    w.clock.advance(timedelta(seconds=14))
    assert await w.kabao.telling.sender.round() == 0
    w.clock.advance(timedelta(seconds=1))
    await sent(w)
    assert receiver.ids() == [receiver.ids()[0]] * 2, "the same event, and the same id"


async def test_the_first_event_of_a_store_is_told_to_it(w: World, receiver: Receiver) -> None:
    """Its snapshot may not know the store yet: another process opened it."""
    card = await w.card(await w.programme(), 1_000)
    await endpoint(w, receiver, "visiting-merchant", event_types=["payment.*"])
    body = {"company": w.company, "name": "New", "code": "S9"}
    store = str((await made(w.operator.post("/v1/stores", body)))["id"])
    await w.pay(card, 1, store=store)
    w.kabao.org._stores.pop(store.removeprefix("sto_"))
    w.kabao.org._revision = 0
    await told(w)
    assert len(receiver.got) == 1


@pytest.mark.row("S-17")
async def test_an_endpoint_that_fails_for_a_day_is_paused_and_somebody_looks(
    w: World, receiver: Receiver
) -> None:
    hook = await endpoint(w, receiver, event_types=["topup.confirmed"])
    programme = await w.programme()
    receiver.answer = lambda _: (503, 0.0)
    for _ in range(4):
        await w.top_up((await w.card(programme))["id"], 100)
    await told(w)
    failing = await shown(w, hook)
    assert failing["failures"] == 3
    assert failing["failing_since"] is not None
    assert failing["resting_until"] is not None
    w.clock.advance(timedelta(hours=24) - timedelta(seconds=1))
    await sent(w)
    assert (await shown(w, hook))["status"] == "active"
    w.clock.advance(timedelta(hours=1.3))
    await sent(w)
    paused = await shown(w, hook)
    assert (paused["status"], paused["paused_for"]) == ("paused", "failing")
    (case,) = (await made(w.operator.get("/v1/cases", subject=hook["id"])))["data"]
    assert (case["kind"], case["facts"]["why"]) == ("notices.endpoint_failing", "failing")
    receiver.got.clear()
    await w.top_up((await w.card(programme))["id"], 100)
    w.clock.advance(timedelta(hours=2))
    await told(w)
    assert receiver.got == []
    receiver.answer = lambda _: (200, 0.0)
    await made(w.operator.post(f"{PATH}/{hook['id']}/resume"))
    await sent(w)
    assert len(set(receiver.ids())) == 5, "what happened meanwhile as well"
    healthy = await shown(w, hook)
    assert (healthy["failures"], healthy["failing_since"]) == (0, None)


async def test_410_pauses_at_once(w: World, receiver: Receiver) -> None:
    hook = await endpoint(w, receiver)
    receiver.answer = lambda _: (410, 0.0)
    await made(w.operator.post(f"{PATH}/{hook['id']}/test"))
    await sent(w)
    assert (await shown(w, hook))["paused_for"] == "gone"


async def test_a_redirect_is_a_failure_and_is_not_followed(w: World, receiver: Receiver) -> None:
    hook = await endpoint(w, receiver)
    async with receiving() as elsewhere:
        receiver.extra = f"Location: {elsewhere.url}\r\n".encode()
        receiver.answer = lambda _: (307, 0.0)
        delivery = await made(w.operator.post(f"{PATH}/{hook['id']}/test"))
        await sent(w)
        assert len(receiver.got) == 1
        assert elsewhere.got == []
    tried = await made(w.operator.get(f"/v1/webhook-deliveries/{delivery['id']}"))
    assert (tried["status"], tried["last_error"], tried["last_http_status"]) == (
        "waiting",
        "refused",
        307,
    )


@pytest.mark.row("ATK-5")
async def test_two_secrets_sign_while_one_gives_way_to_the_other(
    w: World, receiver: Receiver
) -> None:
    hook = await endpoint(w, receiver)
    new = await made(w.operator.post(f"{PATH}/{hook['id']}/rotate-secret"))
    assert new["secret"] != hook["secret"]
    await made(w.operator.post(f"{PATH}/{hook['id']}/test"))
    await sent(w)
    assert receiver.got[0].verified_by(hook["secret"])
    assert receiver.got[0].verified_by(new["secret"])
    w.clock.advance(timedelta(hours=24))
    await w.kabao.telling.sender.tend()
    await made(w.operator.post(f"{PATH}/{hook['id']}/test"))
    await sent(w)
    assert len(receiver.got[1].headers["webhook-signature"].split(" ")) == 1
    assert (await shown(w, hook))["old_secret_until"] is None


async def test_a_secret_is_shown_once(w: World, receiver: Receiver) -> None:
    body = {"url": receiver.url}
    hook = await made(w.operator.post(PATH, body, key="once"))
    assert (await made(w.operator.post(PATH, body, key="once"))) == hook
    w.clock.advance(timedelta(hours=24))
    refused = await w.operator.post(PATH, body, key="once")
    assert (refused.status_code, refused.json()["code"]) == (409, "secret_already_shown")
    assert "secret" not in await shown(w, hook)


async def test_an_endpoint_for_which_too_much_waits_is_passed_by(
    w: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = await endpoint(w, receiver, event_types=["topup.confirmed"])
    card = await w.card(await w.programme())
    await made(w.operator.post(f"{PATH}/{hook['id']}/pause"))
    await w.top_up(card["id"], 100)
    await w.top_up(card["id"], 200)
    await relayed(w)
    limits = w.kabao.telling.endpoints.limits()
    small = type(limits)(
        **{name: getattr(limits, name) for name in limits.__struct_fields__} | {"waiting": 1}
    )
    monkeypatch.setattr(w.kabao.telling.endpoints, "limits", lambda: small)
    await w.top_up(card["id"], 300)
    happened = rfc3339(w.clock.now_us())
    w.clock.advance(timedelta(hours=1))
    await w.kabao.telling.sender.tend()
    assert (await shown(w, hook))["missed_from"] is None, "nothing so far"
    assert await relayed(w) == 0
    assert (await shown(w, hook))["missed_from"] == happened, "not when we noticed"
    missed = await made(w.operator.get("/v1/events", since=happened, type="topup.confirmed"))
    assert 300 in [event["data"]["amount"] for event in missed["data"]]
    await w.top_up(card["id"], 350)
    assert await relayed(w) == 0
    (case,) = (await made(w.operator.get("/v1/cases", subject=hook["id"])))["data"]
    assert case["facts"]["why"] == "overfull"
    await made(w.operator.post(f"{PATH}/{hook['id']}/resume"))
    await sent(w)
    await w.kabao.telling.sender.tend()
    await w.top_up(card["id"], 400)
    await told(w)
    assert [got.event["data"]["amount"] for got in receiver.got] == [100, 200, 400]
    assert (await shown(w, hook))["missed_from"] == happened, "until its owner has fetched it"
    await made(w.operator.post(f"{PATH}/{hook['id']}/caught-up"))
    assert (await shown(w, hook))["missed_from"] is None


async def test_overfull_ends_when_half_is_told(w: World, receiver: Receiver) -> None:
    hook = await endpoint(w, receiver, event_types=["topup.confirmed"])
    await many(w, 5)

    async def overfull(most: int) -> bool:
        async with w.kabao.db.transaction() as conn:
            await sql.weigh(conn, most)
            found = await sql.get(conn, from_edge("whe", hook["id"]))
            assert found is not None
            return found.overfull

    weighed = [await overfull(most) for most in (5, 4, 5, 9, 10)]
    assert weighed == [False, True, True, True, False]


async def test_a_deleted_endpoint_is_told_nothing_more(w: World, receiver: Receiver) -> None:
    hook = await endpoint(w, receiver)
    await made(w.operator.post(f"{PATH}/{hook['id']}/test"))
    headers = {"Authorization": f"Bearer {w.operator.key}"}
    gone = await w.client.delete(f"{PATH}/{hook['id']}", headers=headers)
    assert gone.status_code == 204
    await sent(w)
    assert receiver.got == []
    assert (await w.operator.get(f"{PATH}/{hook['id']}")).status_code == 404


async def test_what_begins_to_wait_while_an_endpoint_goes_is_forgotten(
    w: World, receiver: Receiver
) -> None:
    hook = await endpoint(w, receiver, event_types=["topup.confirmed"])
    await many(w, 2)
    async with w.kabao.db.transaction() as conn:  # the relay had read of it before
        await conn.execute(
            "delete from notices.endpoint where id = %s", [from_edge("whe", hook["id"])]
        )
    await w.kabao.telling.sender.tend()
    async with w.kabao.db.read() as conn:
        for table in ("lane", "delivery"):
            assert await fetch_value(conn, f"select count(*) from notices.{table}") == 0


async def test_what_no_endpoint_may_be(w: World) -> None:
    wrong = [
        {"url": "ftp://example.com/"},
        {"url": "https://user:pass@example.com/"},
        {"url": "https://"},
        {"url": "https://example.com/#part"},
        {"url": "https://example.com/ x"},
        {"url": "https://example.com:x/"},
        {"url": "https://example.com/", "event_types": ["payment"]},
        {"url": "https://example.com/", "event_types": ["ledger.*"]},
    ]
    for body in wrong:
        refused = await w.operator.post(PATH, body)
        assert refused.json()["code"] == "invalid", body


@pytest.mark.row("ATK-9")
async def test_a_company_has_so_many_endpoints(w: World) -> None:
    for n in range(20):
        await made(w.operator.post(PATH, {"url": f"https://example.com/{n}"}))
    refused = await w.operator.post(PATH, {"url": "https://example.com/20"})
    assert (refused.status_code, refused.json()["code"], refused.json()["rule"]) == (
        422,
        "too_many_webhook_endpoints",
        "ATK-9",
    )
    await made(w.by("other-operator").post(PATH, {"url": "https://example.com/"}))


async def test_endpoints_and_deliveries_are_their_owners(w: World, receiver: Receiver) -> None:
    """The company sees those of its stores; a store or another company not the company's."""
    hook = await endpoint(w, receiver, "own-operator")
    group = await endpoint(w, receiver, "operator")
    delivery = await made(w.by("own-operator").post(f"{PATH}/{hook['id']}/test"))
    other = w.by("other-operator")
    assert (await made(other.get(PATH)))["data"] == []
    assert (await made(other.get("/v1/webhook-deliveries")))["data"] == []
    seen = [one["id"] for one in (await made(w.by("own-operator").get(PATH)))["data"]]
    assert seen == [hook["id"]], "one of the whole group is told more than this key may see"
    calls = [
        await other.get(f"{PATH}/{hook['id']}"),
        await w.by("own-operator").get(f"{PATH}/{group['id']}"),
        await other.post(f"{PATH}/{hook['id']}/pause"),
        await other.post(f"{PATH}/{hook['id']}/rotate-secret"),
        await other.get(f"/v1/webhook-deliveries/{delivery['id']}"),
        await other.post(f"/v1/webhook-deliveries/{delivery['id']}/replay"),
        await other.get("/v1/webhook-deliveries", endpoint=hook["id"]),
    ]
    assert {call.status_code for call in calls} == {404}
