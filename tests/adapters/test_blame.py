"""Payers without money shut no channel for the others; an account that is shut there does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kabao.adapters.alipay import channel as alipay
from kabao.adapters.blame import Blame, unsent
from kabao.adapters.gateway import said as gateway
from kabao.adapters.unionpay import channel as unionpay
from kabao.adapters.wechat import said as wechat
from kabao.funding.model.answers import Payer, Scene, Whose
from kabao.funding.model.asking import outcome_of
from kabao.funding.model.collections import Outcome
from kabao_sandbox.party.faults import Faults

from .world import World, world

FAILURES = {Outcome.FAILED, Outcome.UNKNOWN}


@pytest.fixture(params=["alipay", "wechat", "unionpay", "ecny"])
async def till(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with world(request.param) as made:
        yield made


async def asked(till: World, code: str) -> set[Outcome]:
    """What comes of scanning a code, and of asking about it then."""
    order = till.order(Scene.CODE)
    said = await till.channel.create(order, Payer(code))
    return {outcome_of(said), outcome_of(await till.channel.query(order))}


async def test_payers_without_money_do_not_speak_against_a_channel(till: World) -> None:
    till.host.order(Faults(success=0))
    outcomes = await asked(till, till.code())
    assert Outcome.REFUSED_BY_PAYER in outcomes and not outcomes & FAILURES


async def test_nor_do_codes_that_are_used_or_none(till: World) -> None:
    code = till.code()
    await asked(till, code)
    for worthless in (code, "000000000000000000"):
        assert not await asked(till, worthless) & FAILURES


@pytest.mark.parametrize("name", ["alipay", "unionpay"])
async def test_an_account_that_is_not_ours_does(name: str) -> None:
    async with world(name) as till:
        app, merchant = till.others()
        said = await (app or merchant).create(till.order(Scene.CODE), Payer(till.code()))
        assert outcome_of(said) in FAILURES


@pytest.mark.parametrize(
    ("blame", "code", "scene", "whose"),
    [
        (wechat.BLAME, "SIGN_ERROR", Scene.CODE, Whose.CHANNEL),
        (wechat.BLAME, "NO_AUTH", Scene.APP, Whose.CHANNEL),
        (wechat.BLAME, "NOT_ENOUGH", Scene.CODE, Whose.PAYER),
        (wechat.BLAME, "PARAM_ERROR", Scene.APP, Whose.PAYER),  # a made-up openid
        (wechat.BLAME, "PARAM_ERROR", Scene.QR, Whose.CHANNEL),
        (wechat.BLAME, "RULE_LIMIT", Scene.QR, Whose.PAYER),
        (alipay.BLAME, "ACQ.SELLER_BEEN_BLOCKED", Scene.CODE, Whose.CHANNEL),
        (alipay.BLAME, "ACQ.BUYER_BALANCE_NOT_ENOUGH", Scene.CODE, Whose.PAYER),
        (alipay.BLAME, "ACQ.TOTAL_FEE_EXCEED", Scene.QR, Whose.PAYER),
        (unionpay.BLAME, "31", Scene.CODE, Whose.CHANNEL),
        (unionpay.BLAME, "64", Scene.CODE, Whose.PAYER),
        (unionpay.BLAME, "33", Scene.QR, Whose.PAYER),
        (gateway.BLAME, "BAD_SIGNATURE", Scene.CODE, Whose.CHANNEL),
        (gateway.BLAME, "BANK_LIMIT", Scene.PAGE, Whose.PAYER),
    ],
)
def test_whose_doing_a_code_is(blame: Blame, code: str, scene: Scene, whose: Whose) -> None:
    assert blame.refused(code, "", scene).whose is whose


def test_what_was_declined_had_its_payer() -> None:
    assert unionpay.BLAME.declined("64").whose is Whose.PAYER
    assert unionpay.BLAME.declined("31").whose is Whose.CHANNEL


def test_what_we_do_not_ask_says_nothing() -> None:
    assert outcome_of(unsent("bank_limit_exceeded")) is Outcome.NOT_ASKED
