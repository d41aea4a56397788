"""Counting: sums, quantiles, and that a day and a run agree."""

from __future__ import annotations

import pytest

from kabao.simulation.tally import Figures, Flow, Latencies, Tally


def test_a_days_flows_add_up() -> None:
    tally = Tally()
    tally.moved(Flow.LOADED, 0, 10_000)
    tally.moved(Flow.SPENT, 0, 3_000)
    tally.moved(Flow.SPENT, 1, 500)
    tally.moved(Flow.REFUNDED, 1, 200)
    tally.moved(Flow.VOIDED, 0, 1_000)
    tally.moved(Flow.LOAD_VOIDED, 0, 2_000)
    tally.moved(Flow.SUSPENDED, 1, 50)
    assert tally.day.change_fen == 10_000 - 3_500 + 200 + 1_000 - 2_000
    assert tally.day.stores[0].owed_fen == 2_000
    assert tally.day.stores[1].owed_fen == 250
    before = tally.new_day()
    assert before.change_fen == tally.run.change_fen
    assert tally.day == Figures()


def test_cash_of_a_store() -> None:
    tally = Tally()
    tally.cash(3, taken_fen=5_000)
    tally.cash(3, given_fen=2_000)
    assert tally.run.stores[3].cash_fen == 3_000


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_quantiles_are_within_a_step(share: float) -> None:
    latencies = Latencies()
    for n in range(1, 1_001):
        latencies.add(n / 10)
    assert latencies.quantile(share) == pytest.approx(100 * share, rel=0.13)


def test_defects_are_counted_but_not_all_kept() -> None:
    tally = Tally()
    for n in range(200):
        tally.defect(str(n))
    assert (tally.defect_count, len(tally.defects)) == (200, Tally.DEFECTS_KEPT)
