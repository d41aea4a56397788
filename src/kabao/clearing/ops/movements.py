"""What clearing did on banks' accounts, as reconciliation reads it: `ports.Besides`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from kabao.base.ids import is_id
from kabao.clearing.sql import movements as sql
from kabao.reconciliation.ports import Selected

_SHANGHAI = ZoneInfo("Asia/Shanghai")


class Movements:
    """Payouts, what came back of them, and cash that was brought to the bank."""

    def of_day(self, channel: str, day: date) -> Selected:
        """What a bank's statement of a day should tell of them."""
        params = {
            "besides_channel": channel,
            "besides_from": _midnight(day),
            "besides_until": _midnight(day + timedelta(days=1)),
        }
        return Selected(sql.OF_DAY, params)

    def named(self, channel: str, ours: Sequence[str], theirs: Sequence[str]) -> Selected:
        """What goes by these numbers, whatever became of it."""
        params = {
            "besides_channel": channel,
            "besides_ours": [no for no in ours if is_id(no)],
            "besides_theirs": list(theirs),
        }
        return Selected(sql.NAMED, params)


def _midnight(day: date) -> datetime:
    """When a bank's day begins (bills are of calendar days there)."""
    return datetime.combine(day, time(), _SHANGHAI)
