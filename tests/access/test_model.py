"""Verbs, roles, scopes, passwords, decisions: pure."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.access.model import (
    APPROVAL_DECIDED,
    APPROVAL_EXPIRED,
    ROLES,
    SELF_APPROVAL,
    VERBS,
    Approval,
    ApprovalState,
    Entry,
    Grant,
    Outcome,
    PeopleLimits,
    Role,
    Scope,
    check_decidable,
    grant,
    verbs_of,
)
from kabao.access.model.log import GENESIS, chain, line
from kabao.access.model.people import check_login, check_password, widens
from kabao.access.model.verbs import EVERYBODY
from kabao.access.ops.tokens import TokenKind, fresh, kind_of, token_hash
from kabao.base.clock import FixedClock
from kabao.base.errors import KabaoError
from kabao.policy.ops import Policy

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
LIMITS = PeopleLimits.of(
    Policy.load(FixedClock(AT)).rules(jurisdiction="national", on=date(2026, 11, 22))
)


# --- verbs and roles --------------------------------------------------------


def test_roles_name_only_verbs_there_are() -> None:
    for role, verbs in ROLES.items():
        assert verbs <= VERBS.keys(), role


def test_every_verb_is_in_some_role() -> None:
    assert frozenset().union(*ROLES.values()) | EVERYBODY == VERBS.keys()


def test_whoever_decides_changes_nothing_else() -> None:
    deciders = [role for role in Role if "approvals:decide" in ROLES[role]]
    assert deciders == [Role.APPROVER]
    others = ROLES[Role.APPROVER] - {"approvals:decide"}
    assert all(verb.endswith(":read") for verb in others)


def test_an_auditor_only_reads() -> None:
    assert all(verb.endswith(":read") for verb in ROLES[Role.AUDITOR])


def test_an_admin_has_no_money() -> None:
    assert not any(
        verb.startswith(("cards:", "payments:", "topups:", "adjustments:", "ledger:"))
        for verb in ROLES[Role.ADMIN]
    )


def test_the_call_centre_sees_no_person_and_no_card() -> None:
    verbs = ROLES[Role.CALL_CENTRE]
    assert {"customers:find", "cards:find", "cards:block", "codes:write"} <= verbs
    assert not {"customers:read", "cards:read", "audit-log:read", "cards:unblock"} & verbs


def test_a_cashier_neither_refunds_nor_voids_a_top_up() -> None:
    assert not {"payments:refund", "topups:void", "cards:read"} & ROLES[Role.CASHIER]


# --- scopes -----------------------------------------------------------------

_ids = st.none() | st.frozensets(st.sampled_from("abc"), min_size=1)
_scopes = st.builds(Scope, st.sampled_from("abc"), _ids, _ids)


@given(_scopes, _scopes, _scopes)
def test_covering_is_transitive(one: Scope, two: Scope, three: Scope) -> None:
    if one.covers(two) and two.covers(three):
        assert one.covers(three)


@given(_scopes, _scopes)
def test_nothing_is_seen_through_a_covered_scope_that_is_not_in_the_cover(
    outer: Scope, inner: Scope
) -> None:
    everything = frozenset("abc")
    if outer.covers(inner):
        for wide, narrow in ((outer.companies, inner.companies), (outer.stores, inner.stores)):
            seen = everything if narrow is None else narrow
            assert wide is None or seen <= wide


def test_the_whole_group_covers_all_and_nothing_covers_it() -> None:
    group, company = Scope("a"), Scope("a", frozenset("a"))
    assert group.covers(company)
    assert group.covers(group)
    assert not company.covers(group)


def test_acting_for_a_company_outside_is_not_covered() -> None:
    assert not Scope("a", frozenset("a")).covers(Scope("b", frozenset("a")))


@pytest.mark.parametrize(
    ("asked", "wider"),
    [
        (grant(Scope("a"), [Role.CASHIER]), False),
        (grant(Scope("a", frozenset("a")), [Role.CASHIER]), False),
        (grant(Scope("a"), verbs=["payments:read"]), False),
        (grant(Scope("a"), [Role.CASHIER, Role.AUDITOR]), True),
        (grant(Scope("a"), [Role.CASHIER], ["payments:refund"]), True),
    ],
)
def test_what_widens_a_grant(asked: Grant, wider: bool) -> None:
    assert widens(grant(Scope("a"), [Role.CASHIER]), asked) is wider


def test_a_wider_scope_widens() -> None:
    held = grant(Scope("a", frozenset("a")), [Role.CASHIER])
    assert widens(held, grant(Scope("a"), [Role.CASHIER]))


def test_every_grant_lets_one_see_oneself() -> None:
    assert verbs_of([], []) == EVERYBODY


# --- logins, passwords, tokens ----------------------------------------------


@pytest.mark.parametrize("login", ["ab", "zhang.san", "0001", "a" * 32, "a_b-c"])
def test_logins(login: str) -> None:
    check_login(login)


@pytest.mark.parametrize("login", ["", "a", "a" * 33, "Zhang", ".a", "a b", "张三", "ab\n"])
def test_what_is_no_login(login: str) -> None:
    with pytest.raises(KabaoError):
        check_login(login)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse",
        "x7#Lq9!vTz2p",
        "十二个汉字的口令应当可以用",
        "a" * 64 + "bcdefgh",
        "ab" + "cdefghijk" * 14,
    ],
)
def test_passwords(password: str) -> None:
    check_password(password, "zhang", LIMITS)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "x7#Lq9!vTz2",  # 11
        "x7#Lq9!v" * 16 + "y",  # 129
        "aaaaaaaaaaaaaaaa",
        "abababababab",
        "password1234",
        "Password2024",
        "my-zhangsan-secret",
        "qwertyqwerty!",
    ],
)
def test_weak_passwords(password: str) -> None:
    with pytest.raises(KabaoError) as no:
        check_password(password, "zhangsan", LIMITS)
    assert (no.value.code.name, no.value.rule) == ("password_weak", "ATK-17")
    assert not password or password not in no.value.detail


def test_the_length_of_a_password_at_its_edges() -> None:
    assert LIMITS.password_min_chars == 12
    check_password("x7#Lq9!vTz2p", "zhang", LIMITS)
    check_password("x7#Lq9!v" * 16, "zhang", LIMITS)


@pytest.mark.parametrize("kind", list(TokenKind))
def test_tokens_tell_their_kind_and_hide_their_secret(kind: TokenKind) -> None:
    token = fresh(kind)
    assert kind_of(token.text) is kind
    assert token.hash == token_hash(token.text)
    assert token.hint in token.text
    assert token.text not in repr(token)
    assert len(token.text) <= 64


def test_tokens_do_not_repeat_and_carry_enough_chance() -> None:
    bodies = [fresh(TokenKind.KEY).text[-32:] for _ in range(500)]
    assert len(set(bodies)) == 500
    assert len(set("".join(bodies))) == 62


@pytest.mark.parametrize("text", ["", "kb_live_", "kb_live_" + "a" * 39, "kb_xxx_" + "a" * 40])
def test_what_is_no_token(text: str) -> None:
    assert kind_of(text) is None


# --- approvals --------------------------------------------------------------


def _approval(state: ApprovalState = ApprovalState.PENDING) -> Approval:
    return Approval(
        id="1" * 32,
        kind="adjustment",
        company="c",
        companies=("c",),
        payload=b"{}",
        digest=b"",
        seal=b"",
        maker="maker",
        maker_via="key",
        reason="why",
        state=state,
        created_at=AT,
        expires_at=AT + timedelta(hours=72),
    )


@pytest.mark.parametrize("late_s", [-1, 0, 1])
def test_a_request_can_be_decided_until_it_expires(late_s: int) -> None:
    at = AT + timedelta(hours=72, seconds=late_s)
    if late_s < 0:
        check_decidable(_approval(), "checker", at)
    else:
        with pytest.raises(KabaoError) as no:
            check_decidable(_approval(), "checker", at)
        assert no.value.code is APPROVAL_EXPIRED


@pytest.mark.parametrize("state", [s for s in ApprovalState if s is not ApprovalState.PENDING])
def test_a_request_is_decided_once(state: ApprovalState) -> None:
    with pytest.raises(KabaoError) as no:
        check_decidable(_approval(state), "checker", AT)
    assert no.value.code in {APPROVAL_DECIDED, APPROVAL_EXPIRED}


@pytest.mark.parametrize("state", list(ApprovalState))
def test_the_maker_is_refused_first_and_always(state: ApprovalState) -> None:
    with pytest.raises(KabaoError) as no:
        check_decidable(_approval(state), "maker", AT)
    assert (no.value.code, no.value.rule) == (SELF_APPROVAL, "ATK-11")


# --- the chain --------------------------------------------------------------


def _entry(**said: object) -> Entry:
    fields = {
        "seq": 1,
        "at": AT,
        "company": None,
        "actor": "a",
        "via": "k",
        "verb": "cards:find",
        "subject": "",
        "reason": '丢了\n卡 | "x"',
        "approval": None,
        "outcome": Outcome.DONE,
        "code": "",
        "address": "127.0.0.1",
        "request_id": "r",
    }
    return Entry(**(fields | said))  # type: ignore[arg-type]  # a row by name


def test_the_line_of_a_row_is_what_the_documentation_says() -> None:
    assert line(_entry()).decode() == (
        '[1,1795334400000000,null,"a","k","cards:find","","丢了\\n卡 | \\"x\\"",null,"done","",'
        '"127.0.0.1","r"]'
    )


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 2},
        {"at": AT + timedelta(microseconds=1)},
        {"actor": "b"},
        {"via": None},
        {"verb": "cards:block"},
        {"subject": "card_1"},
        {"reason": ""},
        {"approval": "x"},
        {"outcome": Outcome.REFUSED},
        {"company": "c"},
        {"address": ""},
    ],
)
def test_every_field_is_in_the_digest(change: dict[str, object]) -> None:
    assert chain(GENESIS, _entry()) != chain(GENESIS, _entry(**change))
    assert chain(GENESIS, _entry()) != chain(b"\x01" * 32, _entry())
