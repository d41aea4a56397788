"""A wrong secret whose commit is never answered is counted once, at every door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database, fetch_value
from kabao.cards.model import CardClass, Carrier, Proof, Resolved
from kabao.cards.ops.secrets import JudgeSecret, Shown, Verdict
from kabao.cards.states import CardState
from kabao.ledger.model import Command, Root
from kabao.payments.inquire import Inquire
from kabao.payments.model import Inquiry, Limits, Reason
from kabao.policy.model import Rules
from kabao.policy.ops import Policy
from kabao.topups import sql
from kabao.topups.model import Load, Loading, TopUp
from kabao.topups.model.topup import NOT_ACCEPTED
from tests.ledger.make import COMPANY, IDS, look, open_roots, running
from tests.ledger.proxy import Proxy


def blank(kind: type[Any], **fields: Any) -> Any:
    """A value of which only these fields matter."""
    hints = msgspec.inspect.type_info(kind)
    assert isinstance(hints, msgspec.inspect.StructType)
    empty = {
        field.name: 0 if isinstance(field.type, msgspec.inspect.IntType) else None
        for field in hints.fields
    }
    return kind(**(empty | fields))


def rules() -> Rules:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    return Policy.load(FixedClock(at)).rules(jurisdiction="national", on=at.date())


def guessed(root: Root) -> Resolved:
    """The card's number with a wrong PIN."""
    return Resolved(
        card=root.card,
        root=root.id,
        programme=root.programme,
        issuer=root.issuer,
        last4="0000",
        secret_version=root.secret_version,
        state_of_carrier=CardState.ACTIVE,
        carrier=Carrier.ELECTRONIC,
        proof=Proof.WRONG,
        pin_proved=False,
    )


def inquiry(root: Root) -> Command[Any]:
    ident = IDS.new()
    return Inquire(
        company=COMPANY,
        operation=ident,
        key=f"inquiry/{ident}",
        root=root.id,
        card=guessed(root),
        limits=blank(Limits, pin_tries=3, pin_lock_us=1),
        status_of={},
    )


def claim(root: Root) -> Command[Any]:
    ident = IDS.new()
    return JudgeSecret(
        company=COMPANY,
        operation=ident,
        key=f"secret/{ident}",
        root=root.id,
        card=root.card,
        shown=Shown.of(guessed(root)),
        rules=rules(),
    )


def top_up(root: Root) -> Command[Any]:
    ident = IDS.new()
    return Load(
        company=COMPANY,
        operation=ident,
        key=f"topup/{ident}",
        root=root.id,
        loading=Loading(
            blank(TopUp), guessed(root), rules(), CardClass.BEARER, COMPANY, refused=None
        ),
        insert=sql.insert_topups,
    )


@pytest.mark.parametrize(
    ("ask", "refused"),
    [
        (inquiry, Inquiry(accepted=False, reason=Reason.WRONG_SECRET, tries_left=2)),
        (claim, Verdict(accepted=False)),
        (top_up, NOT_ACCEPTED),
    ],
)
async def test_a_wrong_secret_whose_commit_is_not_answered_counts_once(
    db: Database,
    database_url: str,
    clock: FixedClock,
    ask: Callable[[Root], Command[Any]],
    refused: Any,
) -> None:
    async with Proxy(database_url) as proxy:
        far = Database(proxy.url)
        await far.open()
        async with running(far, clock, lanes=1, answer_s=5, watch_s=0.05) as ledger:
            (ident,) = await open_roots(db, ledger=ledger)
            cut = asyncio.Event()

            def seen(sent: bytes) -> bool:
                if b"COMMIT" in sent:
                    cut.set()
                return cut.is_set()

            proxy.mute_after = seen
            asked = asyncio.ensure_future(ledger.post(ask(await look(db, ledger, ident))))
            await cut.wait()
            async with db.read() as conn:
                while not await fetch_value(  # noqa: ASYNC110 -- it cannot call us
                    conn, "select pin_tries > 0 from ledger.root where id = %s", [ident]
                ):
                    await asyncio.sleep(0.005)
            proxy.cut()
            proxy.unmute()
            assert await asked == refused
            assert (await look(db, ledger, ident)).pin_tries == 1
        await far.close()
