"""Errors of eight classes, each in another row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kabao_sandbox.bulk.model import MFEN, Day, Flaw, Form, Known, Planted
from kabao_sandbox.party.bills import Row
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.moment import US

DAY_US = 86_400 * US
ELSEWHERE = "HKD"
NOTHING_CAME = "failed"
OFF_FEE_MFEN = 2 * MFEN
"""More than any rounding of a fee explains."""

Pair = tuple[Row, Known]


def plant(clean: Sequence[Pair], count: int, form: Form, chance: Chance) -> Day:
    """So many errors, as many of each class as the next.

    Only payments of which nothing went back are bent, so that no error is another's doing.
    Raises ValueError where there are too few.
    """
    given_back = {row.no for row, _ in clean if row.refund}
    whole = [at for at, (row, _) in enumerate(clean) if row.no not in given_back]
    flaws = {
        at: list(Flaw)[n % len(Flaw)] for n, at in enumerate(sorted(chance.sample(whole, count)))
    }
    rows: list[Row] = []
    known: list[Known] = []
    truth: list[Planted] = []
    for at, (row, ours) in enumerate(clean):
        flaw = flaws.get(at)
        if flaw is None:
            rows.append(row)
            known.append(ours)
            continue
        told, own = _bent(flaw, row, ours, form, chance)
        rows += told
        known += own
        truth.append(Planted(flaw, row.no, row.refund_no, ours.number))
    return Day(rows, known, truth)


def _bent(
    flaw: Flaw, row: Row, ours: Known, form: Form, chance: Chance
) -> tuple[list[Row], list[Known]]:
    match flaw:
        case Flaw.MISSING_HERE:
            return [row], []
        case Flaw.MISSING_THERE:
            return [], [ours]
        case Flaw.AMOUNT:
            off_fen = 1 if row.amount_fen == 1 else chance.choice((-1, 1))
            return [replace(row, amount_fen=row.amount_fen + off_fen)], [ours]
        case Flaw.STATUS:
            return [row], [replace(ours, status=NOTHING_CAME)]
        case Flaw.DUPLICATE:
            return [row, row], [ours]
        case Flaw.WRONG_DAY:
            return [row], [replace(ours, at_us=ours.at_us - DAY_US)]
        case Flaw.FEE:
            return [replace(row, fee_mfen=row.fee_mfen + OFF_FEE_MFEN)], [ours]
        case Flaw.CURRENCY if form.shows_currency:
            return [replace(row, currency=ELSEWHERE)], [ours]
    return [row], [replace(ours, currency=ELSEWHERE)]
