"""Every state with every verb, against a grid written down apart from the code."""

from __future__ import annotations

import pytest

from kabao.base.errors import KabaoError
from kabao.cards.states import (
    FINAL,
    LIFTS,
    TABLE,
    CardState,
    Reason,
    Verb,
    check_lift,
    check_refreeze,
    lines,
    step,
)
from kabao.ledger.model import RootState

# Row: verb. Column: the state it starts from. Cell: the state it leads to; "." = refused.
GRID = """
verb            in_stock blocked  inactive posted      active      frozen      lost        lost_frozen expired  replaced closed
activate        active   .        active   active      .           .           .           .           .        .        .
unsell          .        .        .        .           in_stock    .           .           .           .        .        .
block           blocked  .        .        .           .           .           .           .           .        .        .
unblock         .        in_stock .        .           .           .           .           .           .        .        .
freeze          .        .        .        lost_frozen frozen      frozen      lost_frozen lost_frozen frozen   .        .
unfreeze        .        .        .        .           .           active      .           lost        .        .        .
report_loss     .        .        .        .           lost        lost_frozen .           .           lost     .        .
withdraw_loss   .        .        .        .           .           .           active      frozen      .        .        .
lapse_loss      .        .        .        .           .           .           active      frozen      .        .        .
replace         .        .        .        replaced    replaced    .           replaced    .           .        .        .
replace_by_post .        .        .        replaced    replaced    .           replaced    .           .        .        .
expire          .        .        .        .           expired     .           .           .           .        .        .
exchange        .        .        .        .           .           .           .           .           replaced .        .
reactivate      .        .        .        .           .           .           .           .           active   .        .
transfer        .        .        .        .           active      .           .           .           .        .        .
transfer_anew   .        .        .        .           replaced    .           .           .           .        .        .
merge_out       .        .        .        .           closed      .           .           .           .        .        .
merge_in        .        .        .        .           active      .           .           .           .        .        .
change_pin      .        .        .        .           active      .           .           .           .        .        .
reset_pin       .        .        .        .           active      .           .           .           .        .        .
cash_out        .        .        .        .           active      .           .           .           .        .        .
close           closed   closed   closed   .           closed      .           .           .           closed   .        .
"""  # noqa: E501 - a grid is read across

ROOT_OF = {
    CardState.IN_STOCK: RootState.INACTIVE,
    CardState.BLOCKED: RootState.INACTIVE,
    CardState.INACTIVE: RootState.INACTIVE,
    CardState.POSTED: RootState.INACTIVE,
    CardState.ACTIVE: RootState.ACTIVE,
    CardState.FROZEN: RootState.FROZEN,
    CardState.LOST: RootState.LOST,
    CardState.LOST_FROZEN: RootState.LOST,
    CardState.EXPIRED: RootState.EXPIRED,
    CardState.CLOSED: RootState.CLOSED,
}


def grid() -> list[tuple[CardState, Verb, CardState | None]]:
    """The grid as triples."""
    head, *rows = [line.split() for line in GRID.strip().splitlines()]
    return [
        (CardState(state), Verb(verb), None if cell == "." else CardState(cell))
        for verb, *cells in rows
        for state, cell in zip(head[1:], cells, strict=True)
    ]


def test_the_grid_names_every_pair_once() -> None:
    pairs = [(state, verb) for state, verb, _ in grid()]
    assert sorted(pairs) == sorted((state, verb) for state in CardState for verb in Verb)


@pytest.mark.parametrize(("state", "verb", "to"), grid())
def test_every_pair_is_allowed_or_refused_as_declared(
    state: CardState, verb: Verb, to: CardState | None
) -> None:
    if to is not None:
        found, reason = step(state, verb)
        assert found.to is to
        assert reason in found.reasons
        return
    with pytest.raises(KabaoError) as refused:
        step(state, verb)
    assert refused.value.code.name == "card_state_forbids"
    assert state in refused.value.detail
    assert verb in refused.value.detail


def test_the_root_always_agrees_with_the_card() -> None:
    for (_, verb), found in TABLE.items():
        if found.to is CardState.REPLACED:
            by_post = verb is Verb.REPLACE_BY_POST
            assert found.root is (RootState.INACTIVE if by_post else RootState.ACTIVE)
        else:
            assert found.root is ROOT_OF[found.to]


def test_nothing_leaves_the_end_and_everything_is_reached() -> None:
    assert not [state for state, _ in TABLE if state in FINAL]
    # Where a card's life begins: made, issued, or made as a replacement in the post.
    reached = {CardState.IN_STOCK, CardState.INACTIVE, CardState.POSTED}
    for _ in CardState:
        reached |= {found.to for (state, _), found in TABLE.items() if state in reached}
    assert reached == set(CardState)


def test_only_an_active_card_may_spend() -> None:
    spending = {found.to for found in TABLE.values() if found.root is RootState.ACTIVE}
    assert spending == {CardState.ACTIVE, CardState.REPLACED}


def test_a_loss_withdrawn_never_lifts_a_freeze() -> None:
    for verb in (Verb.WITHDRAW_LOSS, Verb.LAPSE_LOSS):
        assert step(CardState.LOST_FROZEN, verb)[0].to is CardState.FROZEN


def test_a_reason_must_go_with_its_verb() -> None:
    with pytest.raises(KabaoError) as refused:
        step(CardState.ACTIVE, Verb.FREEZE, Reason.FOUND)
    assert (refused.value.code.name, refused.value.field) == ("invalid", "reason")
    assert step(CardState.ACTIVE, Verb.FREEZE, Reason.RISK)[1] is Reason.RISK


FREEZES = (Reason.HOLDER_REQUEST, Reason.DISPUTE, Reason.RISK, Reason.AUTHORITY)


@pytest.mark.parametrize("held", FREEZES)
@pytest.mark.parametrize("lift", list(LIFTS))
def test_a_freeze_is_lifted_only_by_who_may(held: Reason, lift: Reason) -> None:
    rank = {
        Reason.HOLDER_REQUEST: 0,
        Reason.DISPUTE_CLOSED: 1,
        Reason.RISK_CLEARED: 2,
        Reason.AUTHORITY_RELEASED: 3,
    }[lift]
    if FREEZES.index(held) <= rank:
        check_lift(held, lift)
        return
    with pytest.raises(KabaoError) as refused:
        check_lift(held, lift)
    assert refused.value.code.name == "card_freeze_held"


@pytest.mark.parametrize("held", FREEZES)
@pytest.mark.parametrize("reason", FREEZES)
def test_a_frozen_card_is_frozen_again_only_for_more(held: Reason, reason: Reason) -> None:
    if FREEZES.index(reason) > FREEZES.index(held):
        check_refreeze(held, reason)
        return
    with pytest.raises(KabaoError) as refused:
        check_refreeze(held, reason)
    assert refused.value.code.name == "card_state_forbids"


def test_the_table_can_be_printed() -> None:
    printed = list(lines())
    assert len(printed) == len(TABLE)
    assert ("active", "expire", "expired", "expired", "validity_over") in printed
