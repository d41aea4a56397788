"""Statements of `topups`: `topups`, `bonus`, `back` (refunds and recalls)."""

from kabao.topups.sql.topups import insert_topups as insert_topups
from kabao.topups.sql.topups import load as load
from kabao.topups.sql.topups import lock as lock
from kabao.topups.sql.topups import of_day as of_day
from kabao.topups.sql.topups import paid_by as paid_by
from kabao.topups.sql.topups import search as search
from kabao.topups.sql.topups import update_topups as update_topups
