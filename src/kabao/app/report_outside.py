"""What the report tells of the world outside: channels, banks, and the night. Pure."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from kabao.app.demo_channels import ChannelsDay
from kabao.app.demo_night import Night
from kabao.app.report_parts import grid, percent
from kabao.base.money import yuan


def channels_part(day: ChannelsDay) -> RenderableType:
    """Top-ups by channel."""
    table = grid(
        ("\nchannel", "l"),
        ("\nasked", "r"),
        ("\nloaded", "r"),
        ("\nyuan", "r"),
        ("\nfee", "r"),
        ("\nsettles", "l"),
        ("median\nms", "r"),
        ("slowest\nms", "r"),
        gap=1,
    )
    for one in day.channels:
        table.add_row(
            one.name,
            f"{one.asked:,}",
            percent(one.confirmed, one.asked),
            yuan(one.amount),
            yuan(round(one.fee_mfen / 1_000)),
            one.cycle,
            f"{one.median_ms:,.0f}",
            f"{one.slowest_ms:,.0f}",
            style="" if one.confirmed == one.asked else "bold red",
        )
    told = (
        "The channels are played by the sandbox, over sockets with their real protocols and keys.\n"
        "Some notifications came late, twice or forged, on purpose. Times are from the payer's\n"
        "payment until the card was loaded."
    )
    return Group(table, Text(told))


def night_part(night: Night) -> RenderableType:
    """Bills, settlements, payouts, and where the files are."""
    bills = grid(("bill", "l"), ("lines", "r"), ("agree", "r"), ("differ", "r"), ("", "l"), gap=1)
    for bill in night.bills:
        style = "bold red" if bill.breaks else ""
        cells = (f"{bill.lines:,}", f"{bill.paired:,}", f"{bill.breaks:,}", bill.state)
        bills.add_row(bill.channel, *cells, style=style)
    stores = grid(
        ("\nstore", "l"),
        ("\nredeemed", "r"),
        ("given\nback", "r"),
        ("\nfees", "r"),
        ("cash set\noff", "r"),
        ("\nnet", "r"),
        gap=1,
    )
    for one in night.stores:
        figures = (one.redeemed, one.given_back, one.fees, one.cash, one.net)
        stores.add_row(one.store, *map(yuan, figures))
    paid = grid(("paid to", "l"), ("yuan", "r"), ("payouts", "r"), ("came back", "r"), gap=1)
    for payee in night.payees:
        counts = (f"{payee.payouts:,}", f"{payee.back:,}")
        paid.add_row(payee.company, yuan(payee.amount), *counts)
    return Group(_closed(night), bills, Text(""), stores, Text(""), paid, _files(night))


def _closed(night: Night) -> Text:
    if not night.closed:
        return Text(f"{night.day} did not close by itself.", style="bold red")
    return Text(
        f"{night.day} closed by itself the next morning: channels' bills were fetched and\n"
        "compared with the books, what stores are owed was netted, and paid on "
        f"{night.paid_on}.\nOne account was closed at its bank, on purpose: that sum came back "
        "and was paid again.\n"
    )


def _files(night: Night) -> Text:
    if night.disagreements:
        return Text("\n" + "\n".join(night.disagreements), style="bold red")
    folder = night.files[0].rpartition("/")[0] if night.files else "-"
    return Text(
        f"\n{night.slips:,} slips stand behind these figures: fetched, added up, equal to the "
        f"fen.\nReport, journal and statements: {folder}"
    )
