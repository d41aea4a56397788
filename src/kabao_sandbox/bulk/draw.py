"""A day of a merchant, by chance that can be repeated."""

from __future__ import annotations

from datetime import date, datetime, time

from kabao_sandbox.bulk.model import MFEN, Form, Known
from kabao_sandbox.party.bills import HOURS, Row
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.moment import CHINA, US

REFUND_EVERY = 25
AMOUNT_MAX_FEN = 200_000
FIRST_S, LAST_S = 60, 86_340
"""Nothing near the end of a day, but for what is planted there."""

SUBJECTS = ("储值卡充值", "礼品卡,100元", '充值"满赠"', "充值`特惠`", "卡 充值 ABC")
"""What buyers read, with what parts columns somewhere."""

_PPM_PER_MFEN = 1_000


def day(form: Form, count: int, on: date, chance: Chance) -> list[tuple[Row, Known]]:
    """So many payments and refunds in the order of time, as both sides have them."""
    midnight_us = int(datetime.combine(on, time(), CHINA).timestamp()) * US
    first_us = midnight_us - (HOURS - form.ends_hour) * 3_600 * US
    found: list[tuple[Row, Known]] = []
    sale: Row | None = None
    for n in range(count):
        at_us = first_us + (FIRST_S + n * (LAST_S - FIRST_S) // count) * US
        if form.refunds and n % REFUND_EVERY == REFUND_EVERY - 1 and sale is not None:
            row = _refund(form, sale, n, at_us, chance)
        else:
            row = sale = _sale(form, n, at_us, chance)
        found.append((row, _known(form, row, chance)))
    return found


def _sale(form: Form, n: int, at_us: int, chance: Chance) -> Row:
    amount_fen = chance.randrange(1, AMOUNT_MAX_FEN)
    return Row(
        no=f"{chance.getrandbits(128):032x}",
        number=form.number(n),
        amount_fen=amount_fen,
        fee_mfen=_fee_mfen(form, amount_fen),
        at_us=at_us,
        subject=SUBJECTS[n % len(SUBJECTS)],
        payer=f"张{n % 9_999:04d}",
    )


def _refund(form: Form, sale: Row, n: int, at_us: int, chance: Chance) -> Row:
    amount_fen = chance.randint(1, sale.amount_fen)
    return Row(
        no=sale.no,
        number=sale.number,
        amount_fen=amount_fen,
        fee_mfen=-_fee_mfen(form, amount_fen) if form.gives_fees_back else 0,
        at_us=at_us,
        subject=sale.subject,
        payer=sale.payer,
        refund_no=f"{chance.getrandbits(128):032x}",
        refund_number=form.refund_number(n),
    )


def _fee_mfen(form: Form, amount_fen: int) -> int:
    step = form.fee_step_mfen
    exact = amount_fen * form.fee_ppm // _PPM_PER_MFEN
    return (exact + step // 2) // step * step


def _known(form: Form, row: Row, chance: Chance) -> Known:
    """The books are as exact as a clock; bills show whole seconds."""
    return Known(
        no=row.no,
        refund_no=row.refund_no,
        number=form.shown(row),
        amount_fen=row.amount_fen,
        fee_mfen=row.fee_mfen,
        at_us=row.at_us + chance.randrange(MFEN) * MFEN,
    )
