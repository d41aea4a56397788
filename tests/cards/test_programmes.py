"""Programmes: what the law and the policy allow, their versions, the snapshot."""

from pathlib import Path

import pytest

from kabao.base.db import Database
from kabao.base.errors import KabaoError
from kabao.cards.model import (
    CardClass,
    Carrier,
    NewProgramme,
    PinPolicy,
    Programme,
    ProgrammeState,
    Terms,
)
from kabao.policy.names import CARD_LIMIT_BEARER_FEN, PAY_SINGLE_MAX_FEN, PIN_TRIES_COUNT

from . import make

REGISTERED, BEARER = CardClass.REGISTERED, CardClass.BEARER


@pytest.fixture
async def world(db: Database, tmp_path: Path) -> make.World:
    return await make.world(db, tmp_path)


async def refusal(world: make.World, card_class: CardClass, **said: object) -> KabaoError:
    with pytest.raises(KabaoError) as refused:
        await make.programme(world, card_class, **said)
    return refused.value


@pytest.mark.row("CR-13")
async def test_validity_by_class(world: make.World) -> None:
    """CX1, CR-13: a registered card has no expiry, a bearer card 36 months or more."""
    for months in (3, 6, 35):
        short = await refusal(world, BEARER, validity_months=months)
        assert (str(short.code), short.rule) == ("policy_loosened", "CR-13")
    for months in (1, 36, 120):
        ending = await refusal(world, REGISTERED, validity_months=months)
        assert (str(ending.code), ending.rule) == ("programme_invalid", "CR-13")
        assert ending.field == "validity_months"
    for months, kept in ((36, 36), (37, 37), (None, 36)):
        assert (
            await make.programme(world, BEARER, validity_months=months)
        ).terms.validity_months == kept
    assert (await make.programme(world, REGISTERED)).terms.validity_months is None


@pytest.mark.row("CR-12")
async def test_face_values_by_class(world: make.World) -> None:
    """Ruling 2: 1,000 yuan on a bearer card, 5,000 on a registered one."""
    for card_class, limit in ((BEARER, 100_000), (REGISTERED, 500_000)):
        for fen in (limit - 1, limit):
            made = await make.programme(world, card_class, face_values=(5_000, fen))
            assert made.terms.face_values == (5_000, fen)
        refused = await refusal(world, card_class, face_values=(5_000, limit + 1))
        assert (refused.rule, refused.field) == ("CR-12", "face_values")


async def test_limits_may_only_be_tighter(world: make.World) -> None:
    limits = {CARD_LIMIT_BEARER_FEN: 50_000, PAY_SINGLE_MAX_FEN: 20_000, PIN_TRIES_COUNT: 2}
    made = await make.programme(world, BEARER, limits=limits)
    rules = world.cards.rules_of(made, world.cards.today(made))
    assert rules.int(CARD_LIMIT_BEARER_FEN) == 50_000
    assert rules.int(PIN_TRIES_COUNT) == 2
    over = await refusal(world, BEARER, limits={CARD_LIMIT_BEARER_FEN: 100_001})
    assert (str(over.code), over.rule) == ("policy_loosened", "CR-12")
    unknown = await refusal(world, BEARER, limits={"card.limit.none": 1})
    assert str(unknown.code) == "bad_policy_override"
    face = await refusal(
        world, BEARER, limits={CARD_LIMIT_BEARER_FEN: 50_000}, face_values=(50_001,)
    )
    assert face.rule == "CR-12", "the programme's own limit binds its face values"


async def test_terms_that_are_not_allowed(world: make.World) -> None:
    table: tuple[tuple[dict[str, object], str | None, str], ...] = (
        ({"prefixes": ("8809001",)}, "ATK-2", "prefixes"),
        ({"prefixes": ("88090", "880901")}, None, "prefixes"),
        ({"prefixes": ("880901", "880901")}, None, "prefixes"),
        ({"prefixes": ("88090123456", "88091234567")}, "ATK-2", "prefixes"),
        ({"carriers": (Carrier.PHYSICAL, Carrier.PHYSICAL)}, None, "carriers"),
        ({"time_zone": "Asia/Atlantis"}, None, "time_zone"),
        ({"contact": ""}, "CR-14", "contact"),
        ({"pin": PinPolicy(length=5)}, "R-01", "pin.length_digits"),
        ({"number_length": 15}, "ATK-2", "card.number.length_digits"),
    )
    for said, rule, field in table:
        refused = await refusal(world, BEARER, **said)
        assert (refused.rule, refused.field) == (rule, field), said


async def test_an_electronic_programme_needs_no_contact(world: make.World) -> None:
    made = await make.programme(world, contact="", carriers=(Carrier.ELECTRONIC,))
    assert made.state is ProgrammeState.ACTIVE


async def test_a_prefix_belongs_to_one_programme(world: make.World) -> None:
    """No number can belong to two programmes, whichever prefix is longer."""
    await make.programme(world, prefixes=("770011", "770012"))
    for prefix in ("770011", "7700", "77001199"):
        taken = await refusal(world, BEARER, prefixes=(prefix, "660099"))
        assert str(taken.code) == "prefix_taken"
    await make.programme(world, prefixes=("770013", "770014"))


async def change(
    world: make.World,
    programme: Programme,
    *,
    terms: Terms | None = None,
    state: ProgrammeState | None = None,
    version: int | None = None,
    two: bool = False,
) -> Programme:
    async with world.db.transaction() as conn:
        return await world.cards.change_programme(
            conn,
            programme.id,
            version=version or programme.version,
            terms=terms,
            state=state,
            by=world.by_two if two else world.by,
        )


async def test_every_change_is_a_version(world: make.World) -> None:
    draft = await make.programme(world, active=False)
    assert draft.state is ProgrammeState.DRAFT
    prefixes = draft.terms.prefixes
    changed = await change(
        world, draft, terms=make.terms(prefixes=(*prefixes, "77002"), name_en="Spring card")
    )
    active = await change(world, changed, state=ProgrammeState.ACTIVE)
    assert (active.version, active.state) == (3, ProgrammeState.ACTIVE)
    async with world.db.read() as conn:
        kept = await world.cards.programme_versions(conn, draft.id)
        assert await world.cards.find_programme(conn, draft.id) == active
    assert [v.version for v in kept] == [1, 2, 3]
    assert [v.terms.name_en for v in kept] == ["Gift card", "Spring card", "Spring card"]
    assert [v.state for v in kept] == ["draft", "draft", "active"]
    with pytest.raises(KabaoError) as late:
        await change(world, draft, version=2, state=ProgrammeState.RETIRED, two=True)
    assert str(late.value.code) == "programme_changed"


@pytest.mark.row("ATK-11")
async def test_an_active_programme_changes_with_two(world: make.World) -> None:
    active = await make.programme(world)
    with pytest.raises(KabaoError) as alone:
        await change(world, active, state=ProgrammeState.SUSPENDED)
    assert (str(alone.value.code), alone.value.rule) == ("approval_needed", "ATK-11")
    suspended = await change(world, active, state=ProgrammeState.SUSPENDED, two=True)
    retired = await change(world, suspended, state=ProgrammeState.RETIRED, two=True)
    with pytest.raises(KabaoError) as over:
        await change(world, retired, state=ProgrammeState.ACTIVE, two=True)
    assert str(over.value.code) == "programme_state"


async def test_a_change_is_refused_before_anybody_is_asked(world: make.World) -> None:
    active = await make.programme(world)
    other = await make.programme(world)
    clash = make.terms(prefixes=other.terms.prefixes)
    async with world.db.transaction() as conn:
        with pytest.raises(KabaoError) as refused:
            await world.cards.check_change(conn, active.id, 1, clash)
        assert str(refused.value.code) == "prefix_taken"
        await world.cards.check_change(conn, active.id, 1, None, ProgrammeState.SUSPENDED)
    async with world.db.read() as conn:
        assert await world.cards.find_programme(conn, active.id) == active


async def test_the_length_of_numbers_stays(world: make.World) -> None:
    draft = await make.programme(world, active=False)
    with pytest.raises(KabaoError) as refused:
        await change(
            world, draft, terms=make.terms(number_length=18, prefixes=draft.terms.prefixes)
        )
    assert refused.value.field == "number_length"


async def test_the_snapshot_follows(world: make.World) -> None:
    programme = await make.programme(world)
    assert world.cards.programme(programme.id) is None
    assert await world.cards.refresh()
    assert not await world.cards.refresh(), "nothing new: one cheap read"
    assert world.cards.programme(programme.id) == programme
    today = world.cards.today(programme)
    assert world.cards.rules(programme.id, today) is world.cards.rules(programme.id, today)
    suspended = await change(world, programme, state=ProgrammeState.SUSPENDED, two=True)
    assert await world.cards.refresh()
    assert world.cards.programme(programme.id) == suspended


async def test_a_closed_company_issues_nothing(world: make.World) -> None:
    async with world.db.transaction() as conn:
        await world.org.close_company(conn, world.issuer.id)
    assert str((await refusal(world, BEARER)).code) == "company_closed"


async def test_the_jurisdiction_is_the_issuers_unless_said(world: make.World) -> None:
    new = NewProgramme(
        issuer=world.issuer.id, card_class=BEARER, terms=make.terms(), jurisdiction="shanghai"
    )
    async with world.db.transaction() as conn:
        assert (await world.cards.create_programme(conn, new, world.by)).jurisdiction == "shanghai"
    assert (await make.programme(world)).jurisdiction == "national"
