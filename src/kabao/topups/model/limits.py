"""How much a top-up may be, and how much a day: policy's bounds, pure. Amounts in fen."""

from __future__ import annotations

import msgspec

from kabao.base.errors import Kind, code
from kabao.policy import names
from kabao.policy.model import Rules

AMOUNT_OUT_OF_RANGE = code("amount_out_of_range", Kind.REFUSED, "A top-up may not be that large.")
NEEDS_TRANSFER = code(
    "bank_transfer_needed", Kind.REFUSED, "A sum like this must come by bank transfer."
)
OVER_DAY = code("topup_day_limit", Kind.REFUSED, "That is more than may be loaded in a day.")

BANKS = ("bank", "netbank")
"""How the kinds of channels begin that are transfers from a bank account."""


class Day(msgspec.Struct, frozen=True):
    """What was loaded, or is about to be, on one business day."""

    card_fen: int = 0
    card_count: int = 0
    payer_fen: int = 0


def check_amount(rules: Rules, amount_fen: int, *, cash: bool) -> None:
    """Policy's bounds on one top-up. Raises `amount_out_of_range`."""
    low = names.TOPUP_SINGLE_MIN_FEN
    if amount_fen < rules.int(low):
        raise AMOUNT_OUT_OF_RANGE.error(
            f"At least {rules.int(low)} fen.", rule=rules.row(low), field="amount"
        )
    highest = [names.TOPUP_SINGLE_MAX_FEN, *([names.TOPUP_CASH_MAX_FEN] if cash else [])]
    for name in highest:
        if amount_fen > rules.int(name):
            raise AMOUNT_OUT_OF_RANGE.error(
                f"At most {rules.int(name)} fen.", rule=rules.row(name), field="amount"
            )


def check_transfer(
    rules: Rules, amount_fen: int, *, by_unit: bool, face_to_face: bool, channel: str
) -> None:
    """What must come by bank transfer (L-14, CR-09): large sums, and what is bought from afar.

    A channel's payment, which names payer, accounts and amount, counts as one where policy
    says so (ruling 17). Raises `bank_transfer_needed`.
    """
    if channel == "card":
        return  # it was bought before
    if channel != "cash" and (
        channel.startswith(BANKS) or rules.flag(names.PURCHASE_TRANSFER_TRACEABLE_COUNTS)
    ):
        return
    threshold = (
        names.PURCHASE_TRANSFER_UNIT_FROM_FEN
        if by_unit
        else names.PURCHASE_TRANSFER_PERSON_FROM_FEN
    )
    if amount_fen >= rules.int(threshold):
        raise NEEDS_TRANSFER.error(rule=rules.row(threshold), field="amount")
    always = names.PURCHASE_TRANSFER_REMOTE_ALWAYS
    if not face_to_face and rules.flag(always):
        raise NEEDS_TRANSFER.error(rule=rules.row(always), field="channel")


def check_day(rules: Rules, day: Day, amount_fen: int) -> None:
    """The day's caps on a card and on a payer, this top-up included. Raises `topup_day_limit`."""
    caps = (
        (names.TOPUP_DAY_CARD_MAX_FEN, day.card_fen + amount_fen),
        (names.TOPUP_DAY_CARD_MAX_COUNT, day.card_count + 1),
    )
    for name, reached in caps:
        if reached > rules.int(name):
            raise OVER_DAY.error(rule=rules.row(name), field="amount")
    check_payer(rules, day.payer_fen + amount_fen)


def check_payer(rules: Rules, day_fen: int) -> None:
    """The day's cap on a payer, all of the day. Raises `topup_day_limit`."""
    name = names.TOPUP_DAY_PAYER_MAX_FEN
    if day_fen > rules.int(name):
        raise OVER_DAY.error(rule=rules.row(name), field="amount")


def most_cash(rules: Rules, day: Day, room_fen: int, *, by_unit: bool) -> int:
    """The largest top-up that can be paid for in cash now; 0: none. `room_fen`: what the card
    may hold beyond what it does.
    """
    threshold = (
        names.PURCHASE_TRANSFER_UNIT_FROM_FEN
        if by_unit
        else names.PURCHASE_TRANSFER_PERSON_FROM_FEN
    )
    most_fen = min(
        room_fen,
        rules.int(names.TOPUP_SINGLE_MAX_FEN),
        rules.int(names.TOPUP_CASH_MAX_FEN),
        rules.int(threshold) - 1,
        rules.int(names.TOPUP_DAY_CARD_MAX_FEN) - day.card_fen,
    )
    return most_fen if most_fen >= rules.int(names.TOPUP_SINGLE_MIN_FEN) else 0
