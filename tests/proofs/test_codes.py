"""One-time codes on a real database."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.base.errors import KabaoError
from kabao.proofs.model import CODE_REFUSED, PROOF_REFUSED, TOO_MANY_CODES, Sms

from .make import PHONE, PURPOSE, SUBJECT, World, other


@pytest.fixture
def world(db: Database, tmp_path: Path, clock: FixedClock) -> World:
    return World(db, tmp_path, clock)


async def refused(world: World, ident: str, digits: str) -> KabaoError:
    with pytest.raises(KabaoError) as no:
        await world.proofs.check(ident, digits)
    assert no.value.code is CODE_REFUSED
    return no.value


async def spend(world: World, ident: str, purpose: str = PURPOSE, subject: str = SUBJECT) -> None:
    async with world.db.transaction() as conn:
        await world.proofs.spend(conn, ident, purpose, subject)


async def test_a_code_is_sent_proved_and_spent(world: World) -> None:
    ident, digits = await world.send()
    proof = await world.proofs.check(ident, digits)
    assert (proof.id, proof.purpose, proof.subject) == (ident, PURPOSE, SUBJECT)
    await spend(world, ident)


async def test_a_proof_is_spent_once_and_only_on_what_it_is_for(world: World) -> None:
    ident, digits = await world.send()
    with pytest.raises(KabaoError) as unproved:
        await spend(world, ident)
    assert unproved.value.code is PROOF_REFUSED
    await world.proofs.check(ident, digits)
    for purpose, subject in (("card.unbind", SUBJECT), (PURPOSE, "card_other")):
        with pytest.raises(KabaoError):
            await spend(world, ident, purpose, subject)
    await spend(world, ident)
    with pytest.raises(KabaoError):
        await spend(world, ident)


async def test_a_proof_comes_back_when_what_it_permits_is_rolled_back(world: World) -> None:
    ident, digits = await world.send()
    await world.proofs.check(ident, digits)

    async def spend_and_fail() -> None:
        async with world.db.transaction() as conn:
            await world.proofs.spend(conn, ident, PURPOSE, SUBJECT)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await spend_and_fail()
    await spend(world, ident)


async def test_a_code_lives_as_long_as_the_policy_says(world: World) -> None:
    for late_s in (-1, 0, 1):
        ident, digits = await world.send()
        world.clock.advance(timedelta(seconds=300 + late_s))
        if late_s < 0:
            await world.proofs.check(ident, digits)
        else:
            await refused(world, ident, digits)


async def test_a_proof_dies_with_its_code(world: World) -> None:
    ident, digits = await world.send()
    await world.proofs.check(ident, digits)
    world.clock.advance(timedelta(seconds=300))
    with pytest.raises(KabaoError):
        await spend(world, ident)


async def test_three_wrong_tries_end_a_code(world: World) -> None:
    for wrong in (2, 3, 4):
        ident, digits = await world.send()
        for _ in range(wrong):
            assert (await refused(world, ident, other(digits))).rule == "ATK-3"
        if wrong < 3:
            await world.proofs.check(ident, digits)
        else:
            await refused(world, ident, digits)
        world.clock.advance(timedelta(seconds=60))


async def test_every_refusal_is_the_same(world: World) -> None:
    ident, digits = await world.send()
    wrong = await refused(world, ident, other(digits))
    unknown = await refused(world, "0" * 32, digits)
    unlikely = await refused(world, ident, "not digits")
    assert len({(e.detail, e.rule, e.field) for e in (wrong, unknown, unlikely)}) == 1


async def test_a_new_code_ends_the_one_before(world: World) -> None:
    first, old = await world.send()
    world.clock.advance(timedelta(seconds=60))
    second, new = await world.send()
    await refused(world, first, old)
    await world.proofs.check(second, new)


async def test_codes_for_other_things_live_side_by_side(world: World) -> None:
    one, digits = await world.send(subject="card_1", phone="13800000001")
    two, others = await world.send(subject="card_2", phone="13800000002")
    await world.proofs.check(two, others)
    await world.proofs.check(one, digits)


async def test_of_fifty_who_are_right_one_wins(world: World) -> None:
    ident, digits = await world.send()
    answers = await asyncio.gather(
        *(world.proofs.check(ident, digits) for _ in range(50)), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1


async def test_of_fifty_who_spend_one_wins(world: World) -> None:
    ident, digits = await world.send()
    await world.proofs.check(ident, digits)
    answers = await asyncio.gather(
        *(spend(world, ident) for _ in range(50)), return_exceptions=True
    )
    assert sum(answer is None for answer in answers) == 1


async def test_parallel_guesses_are_judged_three_times(world: World) -> None:
    """The right digits are among fifty guesses sent at once; at most three are looked at."""
    ident, digits = await world.send()
    guesses = [f"{(int(digits) + n) % 1_000_000:06d}" for n in range(1, 51)]
    answers = await asyncio.gather(
        *(world.proofs.check(ident, guess) for guess in guesses), return_exceptions=True
    )
    assert all(isinstance(answer, KabaoError) for answer in answers)
    async with world.db.read() as conn:
        row = await (await conn.execute("select tries_left from proofs.code")).fetchone()
    assert row == (0,)
    await refused(world, ident, digits)


async def test_a_try_counts_although_its_caller_fails(world: World) -> None:
    ident, digits = await world.send()
    for _ in range(3):
        with pytest.raises(KabaoError):
            await world.proofs.check(ident, other(digits))
    async with world.db.transaction() as conn:
        assert await world.proofs.check_in(conn, ident, digits) is None


async def test_the_same_phone_waits_for_the_next_code(world: World) -> None:
    await world.send()
    world.clock.advance(timedelta(seconds=59))
    with pytest.raises(KabaoError) as no:
        await world.send(subject="card_other")
    assert (no.value.code, no.value.rule) == (TOO_MANY_CODES, "ATK-9")
    world.clock.advance(timedelta(seconds=1))
    await world.send(subject="card_other")


async def test_ten_codes_an_hour_to_one_phone_however_it_is_written(world: World) -> None:
    for n in range(10):
        await world.send(subject=f"card_{n}", phone=["", "86", "+86"][n % 3] + PHONE)
        world.clock.advance(timedelta(seconds=60))
    with pytest.raises(KabaoError) as no:
        await world.send(subject="card_more", phone=PHONE)
    assert no.value.code is TOO_MANY_CODES
    world.clock.advance(timedelta(minutes=50))
    await world.send(subject="card_more", phone=PHONE)


async def test_ten_codes_an_hour_for_one_card_whatever_the_phone(world: World) -> None:
    for n in range(10):
        await world.send(phone=f"1380000{n:04d}")
    with pytest.raises(KabaoError) as no:
        await world.send(phone="13900000000")
    assert no.value.code is TOO_MANY_CODES


async def test_many_who_ask_at_once_get_one_code_for_a_phone(world: World) -> None:
    async def ask() -> None:
        async with world.db.transaction() as conn:
            await world.proofs.send(conn, PURPOSE, SUBJECT, PHONE)

    answers = await asyncio.gather(*(ask() for _ in range(30)), return_exceptions=True)
    assert sum(answer is None for answer in answers) == 1


async def test_no_code_and_no_phone_lies_in_the_database(world: World) -> None:
    async with world.db.transaction() as conn:
        await world.proofs.send(conn, PURPOSE, SUBJECT, PHONE)
    dump = b""
    async with world.db.read() as conn:
        for table in ("code", "sms", "counter"):
            query = f"select to_jsonb(t)::text from proofs.{table} t"
            rows = await (await conn.execute(query.encode())).fetchall()
            dump += "".join(row[0] for row in rows).encode()
    digits = await world.read()
    for secret in (digits, PHONE, digits.encode().hex(), PHONE.encode().hex()):
        assert secret.encode() not in dump


async def test_a_text_is_handed_out_once_and_then_gone(world: World) -> None:
    async with world.db.transaction() as conn:
        await world.proofs.send(conn, PURPOSE, SUBJECT, PHONE)

    async def take() -> int:
        async with world.db.transaction() as conn:
            return len(await world.sms.take(conn))

    assert sum(await asyncio.gather(*(take() for _ in range(10)))) == 1
    async with world.db.read() as conn:
        row = await (await conn.execute("select text from proofs.sms")).fetchone()
    assert row == (None,)


async def test_texts_and_codes_of_yesterday_are_forgotten(world: World) -> None:
    ident, digits = await world.send()
    await world.proofs.check(ident, digits)
    world.clock.advance(timedelta(days=1, minutes=10))
    async with world.db.transaction() as conn:
        assert await world.proofs.purge(conn) == 5  # a code, a text, three counters
        assert await world.proofs.purge(conn) == 0


def test_nothing_secret_shows_in_a_repr() -> None:
    shown = repr(Sms(PURPOSE, PHONE, "123456 is your code"))
    assert PHONE not in shown
    assert "123456" not in shown
