"""The limit after a credit and the counted secret: pure rules at their thresholds."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import pytest

from kabao.base.clock import FixedClock
from kabao.cards.limits import balance_limit, is_exempt, judge_secret, limit_after_credit
from kabao.cards.model import CardClass, Proof
from kabao.ledger.model import Moment, Root, RootState
from kabao.policy.model import Rules
from kabao.policy.ops import Policy

DAY = date(2026, 11, 22)
NOW_US = 1_795_000_000_000_000
MOMENT = Moment(NOW_US, DAY)
LOCK_US = 1440 * 60_000_000


@pytest.fixture(scope="module")
def rules() -> Rules:
    policy = Policy.load(FixedClock(datetime(2026, 11, 22, tzinfo=UTC)))
    return policy.rules(jurisdiction="national", on=DAY)


def root(tries: int = 0, locked_until_us: int = 0) -> Root:
    empty = dict.fromkeys(Root.__struct_fields__, 0)
    return msgspec.convert(
        empty
        | {
            "id": "a",
            "card": "b",
            "programme": "c",
            "issuer": "d",
            "currency": "CNY",
            "state": RootState.ACTIVE,
            "valid_until": None,
            "pin_tries": tries,
            "pin_locked_until_us": locked_until_us,
        },
        Root,
    )


@pytest.mark.parametrize(
    ("card_class", "limit_fen"), [(CardClass.REGISTERED, 500_000), (CardClass.BEARER, 100_000)]
)
def test_the_limit_after_a_credit(rules: Rules, card_class: CardClass, limit_fen: int) -> None:
    assert balance_limit(rules, card_class) == (limit_fen, "CR-12")
    assert limit_after_credit(rules, card_class, limit_fen - 1) is None
    assert limit_after_credit(rules, card_class, limit_fen) is None
    refused = limit_after_credit(rules, card_class, limit_fen + 1)
    assert refused is not None
    assert (refused.code.name, refused.rule) == ("over_balance_limit", "CR-12")
    assert limit_after_credit(rules, card_class, limit_fen + 1, exempt=True) is None


def test_what_is_exempt(rules: Rules) -> None:
    assert all(is_exempt(rules, purpose) for purpose in ("reversal", "void", "release"))
    assert not any(is_exempt(rules, purpose) for purpose in ("refund", "load", "merge"))


def test_wrong_secrets_count_up_to_the_lock(rules: Rules) -> None:
    def wrong(tries: int) -> dict[str, int]:
        return judge_secret(root(tries), Proof.WRONG, rules, MOMENT, pin_proved=False).set

    assert wrong(0) == {"pin_tries": 1}
    assert wrong(1) == {"pin_tries": 2}
    assert wrong(2) == {"pin_tries": 0, "pin_locked_until_us": NOW_US + LOCK_US}


def test_a_right_secret_clears_the_count(rules: Rules) -> None:
    judged = judge_secret(root(2), Proof.RIGHT, rules, MOMENT, pin_proved=True)
    assert (judged.accepted, judged.set) == (True, {"pin_tries": 0})
    assert judge_secret(root(), Proof.RIGHT, rules, MOMENT, pin_proved=True).set == {}


def test_a_code_that_is_not_the_pin_forgives_nothing(rules: Rules) -> None:
    judged = judge_secret(root(2), Proof.RIGHT, rules, MOMENT, pin_proved=False)
    assert (judged.accepted, judged.set) == (True, {})


@pytest.mark.parametrize("proof", list(Proof))
def test_while_locked_nothing_counts_and_nothing_is_right(rules: Rules, proof: Proof) -> None:
    judged = judge_secret(root(0, NOW_US + 1), proof, rules, MOMENT, pin_proved=True)
    assert (judged.accepted, judged.set) == (False, {})


def test_the_lock_ends_by_time(rules: Rules) -> None:
    assert judge_secret(root(0, NOW_US), Proof.RIGHT, rules, MOMENT, pin_proved=True).accepted


@pytest.mark.parametrize("proof", [Proof.NONE, Proof.NO_PIN_SET, Proof.SCOPE])
def test_what_is_no_secret_is_refused_uncounted(rules: Rules, proof: Proof) -> None:
    judged = judge_secret(root(1), proof, rules, MOMENT, pin_proved=True)
    assert (judged.accepted, judged.set) == (False, {})
