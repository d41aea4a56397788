"""The pure rules: passwords by the standard, the window they count in, and store codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.money import MAX_FEN
from kabao.cards.model import Carrier, Proof
from kabao.cards.states import CardState
from kabao.paycodes import model
from kabao.paycodes.model import ByCode, StoreCode
from kabao.payments import codes
from kabao.payments.model import Decline, Payment, Place, Tie
from kabao.payments.pay import Request
from kabao.policy import names, reading

KEY = b"12345678901234567890123456789012"
S = 1_000_000


@pytest.mark.parametrize(
    ("period_30", "expected"),
    [
        (0x0000000000000001, "46119246"),
        (0x00000000023523EC, "68084774"),
        (0x00000000023523ED, "67062674"),
        (0x000000000273EF07, "91819424"),
        (0x0000000003F940AA, "90698825"),
        (0x0000000027BC86AA, "77737706"),
    ],
)
def test_passwords_are_those_of_rfc_6238(period_30: int, expected: str) -> None:
    """Appendix B, SHA-256."""
    assert model.password(KEY, period_30) == expected


NOW_US = 1_795_312_800 * S
NOW = model.number_at(NOW_US)
SKEW_US = 5 * S


@pytest.mark.parametrize(
    ("steps", "found"),
    [(2, False), (1, True), (0, True), (-1, True), (-120, True), (-121, False)],
)
def test_a_code_is_recognised_within_its_window(steps: int, found: bool) -> None:
    shown = model.password(KEY, NOW + steps)
    assert (model.which(KEY, shown, NOW_US, SKEW_US) == NOW + steps) is found


def test_nothing_is_recognised_that_another_key_made() -> None:
    shown = model.password(KEY, NOW)
    assert model.which(KEY[::-1], shown, NOW_US, SKEW_US) is None


def test_a_code_can_be_told_from_a_guess_for_longer_than_it_can_live() -> None:
    rows = {row.name: row.value for row in reading.load().packs["platform"].rows}
    most = sum(
        int(rows[name])
        for name in (
            names.PAY_CODE_TTL_SECONDS,
            names.PAY_CODE_SKEW_SECONDS,
            names.PAY_CODE_TIE_SECONDS,
        )
    )
    assert most <= model.LOOK_BACK_S
    assert rows[names.PAY_CODE_DIGITS] == model.CODE_DIGITS
    assert rows[names.PAY_CODE_SKEW_SECONDS] <= model.STEP_S
    assert rows[names.PAY_CODE_PREFIX] != rows[names.PAY_CODE_DEVICE_PREFIX]


IDS = st.text("0123456789abcdef", min_size=32, max_size=32)


@given(IDS, st.none() | IDS, st.none() | st.integers(1, MAX_FEN))
def test_a_store_code_says_what_it_was_told(
    store: str, terminal: str | None, amount: int | None
) -> None:
    said = StoreCode(store, terminal, amount)
    text = model.store_code_body(said) + ":" + "0" * model.MAC_CHARS
    assert len(text) <= model.STORE_CODE_MAX
    assert model.read_store_code(text) == (said, "0" * model.MAC_CHARS)


@given(st.text(max_size=200))
def test_any_text_is_a_store_code_or_none(text: str) -> None:
    model.read_store_code(text)
    model.read_store_code("KABAO1:" + text)


# --- the tie --------------------------------------------------------------------------------

UNTIL_US = NOW_US + 65 * S


def shown(number: int = 5, *, superseded: bool = False) -> ByCode:
    return ByCode(
        card="c" * 32,
        root="r" * 32,
        programme="p" * 32,
        issuer="i" * 32,
        last4="1234",
        secret_version=1,
        state_of_carrier=CardState.ACTIVE,
        carrier=Carrier.ELECTRONIC,
        proof=Proof.RIGHT,
        series="c" * 32,
        number=number,
        until_us=UNTIL_US,
        tie_us=180 * S,
        superseded=superseded,
    )


def asked(
    amount: int = 100, store: str = "s", terminal: str | None = "t", reference: str | None = "o"
) -> Request:
    return Request("id", "co", "pay/k", b"", amount, "CNY", Place(store, terminal), reference)


def tie(
    number: int = 5, until_us: int = NOW_US + 180 * S, left: int | None = None, **place: str | None
) -> Tie:
    at = {"store": "s", "terminal": "t", "reference": "o"} | place
    return Tie("c" * 32, number, until_us=until_us, payment=left and "x", left_fen=left, **at)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("late_us", "no"), [(-1, None), (0, "pay_code_expired"), (1, "pay_code_expired")]
)
def test_age_is_judged_at_the_first_presentation(late_us: int, no: str | None) -> None:
    found = codes.refusal(shown(), None, asked(), UNTIL_US + late_us)
    assert (found.code if found else None) == no
    # An older code's tie is none of this one's.
    found = codes.refusal(shown(), tie(number=4), asked(), UNTIL_US + late_us)
    assert (found.code if found else None) == no
    # Once it is tied, the tie is what counts.
    assert codes.refusal(shown(), tie(until_us=UNTIL_US + 9), asked(), UNTIL_US + late_us) is None


@pytest.mark.parametrize(
    ("late_us", "no"), [(-1, None), (0, "pay_code_expired"), (1, "pay_code_expired")]
)
def test_a_tie_ends(late_us: int, no: str | None) -> None:
    found = codes.refusal(shown(), tie(), asked(), NOW_US + 180 * S + late_us)
    assert (found.code if found else None) == no


@pytest.mark.parametrize(
    "elsewhere",
    [
        asked(store="other"),
        asked(terminal="other"),
        asked(terminal=None),
        asked(reference="other"),
        asked(reference=None),
    ],
)
def test_a_tied_code_is_refused_elsewhere(elsewhere: Request) -> None:
    found = codes.refusal(shown(), tie(), elsewhere, NOW_US)
    assert found is not None
    assert found.code == Decline.PAY_CODE_USED


@pytest.mark.parametrize(
    ("left", "amount", "no"),
    [
        (None, 100, None),
        (40, 39, None),
        (40, 40, None),
        (40, 41, "pay_code_used"),
        (0, 1, "pay_code_used"),
    ],
)
def test_only_what_was_left_open_can_still_be_paid(
    left: int | None, amount: int, no: str | None
) -> None:
    found = codes.refusal(shown(), tie(left=left), asked(amount), NOW_US)
    assert (found.code if found else None) == no


def test_an_older_code_is_refused_once_a_newer_one_was_shown_or_made() -> None:
    for found in (
        codes.refusal(shown(), tie(number=6), asked(), NOW_US),
        codes.refusal(shown(superseded=True), None, asked(), NOW_US),
    ):
        assert found is not None
        assert found.code == Decline.PAY_CODE_EXPIRED
    # But not at the till that it is tied to.
    assert codes.refusal(shown(superseded=True), tie(), asked(), NOW_US) is None


def paid(requested: int, approved: int) -> Payment:
    fields = dict.fromkeys(Payment.__struct_fields__)
    told = {
        "id": "new",
        "store": "s",
        "terminal": "t",
        "reference": "o",
        "requested_fen": requested,
        "approved_fen": approved,
        "status": "captured" if approved else "declined",
    }
    return Payment(**fields | told)  # type: ignore[arg-type]


def test_a_first_presentation_ties_and_later_ones_keep_the_tie() -> None:
    first = codes.tied(shown(), None, paid(100, 0), "o", NOW_US)
    assert first == Tie("c" * 32, 5, "s", "t", "o", NOW_US + 180 * S, None, None)
    part = codes.tied(shown(), first, paid(100, 60), "o", NOW_US + S)
    assert (part.until_us, part.payment, part.left_fen) == (first.until_us, "new", 40)
    after_no = codes.tied(shown(), part, paid(40, 0), "o", NOW_US + 2 * S)
    assert after_no == part
    rest = codes.tied(shown(), part, paid(40, 40), "o", NOW_US + 3 * S)
    assert rest.left_fen == 0
    fresh = codes.tied(shown(6), rest, paid(7, 0), "o", NOW_US + 4 * S)
    assert (fresh.number, fresh.payment, fresh.left_fen) == (6, None, None)
