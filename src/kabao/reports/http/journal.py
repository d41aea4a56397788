"""Vouchers as CSV, a line for each line of a voucher."""

from __future__ import annotations

import csv
import io

from kabao.reports.http.views import JournalView

COLUMNS = (
    "voucher",
    "day",
    "company",
    "currency",
    "purpose",
    "account",
    "name",
    "ledger_account",
    "owner",
    "debit",
    "credit",
)
"""Amounts are fen."""


def journal_csv(journal: JournalView) -> str:
    """The file, with a byte-order mark: spreadsheets take it for UTF-8 by that."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\r\n").writerow
    write(COLUMNS)
    for voucher in journal.vouchers:
        for line in voucher.lines:
            write(
                (
                    voucher.number,
                    voucher.day.isoformat(),
                    voucher.company,
                    voucher.currency,
                    voucher.purpose,
                    line.account,
                    line.name,
                    line.ledger_account,
                    line.owner or "",
                    line.debit,
                    line.credit,
                )
            )
    return "\ufeff" + out.getvalue()
