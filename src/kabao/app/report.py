"""What a day came to, for a reader who has never seen Kabao. Pure, but for printing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import msgspec
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from kabao.app.demo_channels import ChannelsDay
from kabao.app.demo_night import Night
from kabao.app.demo_offline import OfflineHour
from kabao.app.demo_tills import TillsDay
from kabao.app.report_outside import channels_part, night_part
from kabao.app.report_parts import bar, grid, percent, section
from kabao.base.money import yuan
from kabao.simulation.chain import Chain
from kabao.simulation.intents import Label
from kabao.simulation.run import DayDone
from kabao.simulation.tally import Figures, Flow, Tally
from kabao.simulation.world import GROUP, Means

SHOWN = {
    Means.NUMBER: "number and PIN",
    Means.TRACK: "magnetic stripe",
    Means.BARCODE: "barcode",
}
DECLINES = {
    "insufficient_funds": "too little on the card",
    "card_not_accepted": "not accepted: wrong or locked PIN, unknown card",
    "card_lost": "reported lost",
    "card_frozen": "frozen by its holder",
    "card_expired": "expired",
    "card_closed": "closed",
    "over_single_limit": "over the limit for one payment",
    "over_day_sum": "over the limit for a day",
    "over_day_count": "too many payments in a day",
    "pay_code_expired": "pay code shown too late",
    "pay_code_used": "pay code shown before, elsewhere",
    "reversed_before": "its reversal came first",
    "store_outside_group": "store outside the group",
    "pin_required": "PIN needed",
}
LABELS = {
    Label.PIN_GUESSING: "PINs guessed",
    Label.STOLEN_CARD: "purchases with a stolen card",
    Label.CARD_DRAINING: "cards emptied after a load",
    Label.CASHIER_SELF_REFUND: "cashier refunds to the own card",
    Label.CASHIER_VOID_AFTER_CASH: "cashier voids a load, keeps the cash",
}


class AuditLine(msgspec.Struct, frozen=True):
    """One thing the auditor has recomputed from the tables."""

    id: str
    text: str
    holds: bool
    figures: list[str]
    breaches: list[str]
    """What does not hold, by name."""
    noted: list[str]
    """What is allowed, and worth a look."""


class Verdict(msgspec.Struct, frozen=True):
    """What the auditor says."""

    holds: bool
    lines: list[AuditLine]


class StoreLine(msgspec.Struct, frozen=True):
    """A store's day. Amounts in fen."""

    name: str
    payments: int
    spent: int
    given_back: int
    owed: int
    cash_for_cards: int
    cash_sales: int


class HourLine(msgspec.Struct, frozen=True):
    """An hour of the day."""

    hour: int
    payments: int
    amount: int


class Rolled(msgspec.Struct, frozen=True):
    """How the worth of all cards came from the morning to the evening, in fen."""

    opening: int
    loaded: int
    load_voided: int
    spent: int
    voided: int
    reversed: int
    refunded: int
    closing: int
    """The sum of all that."""
    cards: int
    """What all cards hold by the platform's own list."""
    count: int
    """How many cards that are."""


class Speed(msgspec.Struct, frozen=True):
    """How fast it went, in real time."""

    requests: int
    seconds: float
    payment_p50_ms: float
    payment_p99_ms: float
    success_bp: int
    """Requests that got their answer, in basis points; what the customer causes is an answer."""


class AfterTheDay(msgspec.Struct, frozen=True):
    """What was played today, when the day was closed."""

    tills: TillsDay
    offline: OfflineHour
    channels: ChannelsDay
    night: Night


class DayReport(msgspec.Struct, frozen=True):
    """The day's report, as `--json` gives it."""

    day: date
    transfers: int
    stores: list[StoreLine]
    hours: list[HourLine]
    shown: dict[str, int]
    splits: int
    declines: list[tuple[str, str, int]]
    """Code, rule, count."""
    refused: list[tuple[str, str, int]]
    """Verb, code, count: other requests that were told no."""
    dishonest: dict[str, int]
    roll: Rolled
    speed: Speed
    reversals: int
    """Over HTTP."""
    tills: TillsDay
    offline: OfflineHour
    channels: ChannelsDay
    night: Night
    disagreements: list[str]
    """Where the platform's books and its own answers differ. There must be none."""
    audit: Verdict

    @property
    def holds(self) -> bool:
        """Whether every fen is accounted for."""
        equal = self.roll.closing == self.roll.cards
        after = (self.tills, self.offline, self.channels, self.night)
        outside = all(part.holds for part in after)
        return self.audit.holds and outside and not self.disagreements and equal


def day_report(
    done: DayDone,
    chain: Chain,
    tally: Tally,
    seconds: float,
    after: AfterTheDay,
    verdict: Verdict,
) -> DayReport:
    """Put a day's figures together."""
    figures = done.figures
    return DayReport(
        day=done.day,
        transfers=done.transfers,
        stores=_stores(figures, chain),
        hours=[
            HourLine(hour, figures.hours[hour], figures.hours_fen[hour])
            for hour in range(min(figures.hours, default=0), max(figures.hours, default=0) + 1)
        ],
        shown=dict(figures.means.most_common()),
        splits=figures.splits,
        declines=[(code, rule, n) for (code, rule), n in figures.declines.most_common()],
        refused=[(verb, code, n) for (verb, code), n in figures.refusals.most_common()],
        dishonest=dict(figures.labels.most_common()),
        roll=rolled(done),
        speed=speed(figures, tally, seconds),
        reversals=figures.operations["reverse"],
        tills=after.tills,
        offline=after.offline,
        channels=after.channels,
        night=after.night,
        disagreements=tally.defects,
        audit=verdict,
    )


def rolled(done: DayDone) -> Rolled:
    """The roll-forward of what the cards are worth."""
    fen = done.figures.fen
    return Rolled(
        opening=done.opening_fen,
        loaded=fen(Flow.LOADED),
        load_voided=fen(Flow.LOAD_VOIDED),
        spent=fen(Flow.SPENT),
        voided=fen(Flow.VOIDED),
        reversed=fen(Flow.REVERSED),
        refunded=fen(Flow.REFUNDED),
        closing=done.closing_fen,
        cards=done.cards_fen,
        count=done.cards,
    )


def speed(figures: Figures, tally: Tally, seconds: float) -> Speed:
    """How fast requests were answered."""
    asked = figures.answered + figures.unknown
    failed = figures.unknown + figures.failed
    pay = tally.latencies["pay"]
    return Speed(
        requests=figures.answered,
        seconds=round(seconds, 1),
        payment_p50_ms=pay.quantile(0.5),
        payment_p99_ms=pay.quantile(0.99),
        success_bp=10_000 * (asked - failed) // asked if asked else 10_000,
    )


def _stores(figures: Figures, chain: Chain) -> list[StoreLine]:
    lines = []
    for shop in chain.shops:
        store = figures.stores[shop.plan.index]
        spent = store.fen(Flow.SPENT)
        lines.append(
            StoreLine(
                name=shop.plan.name,
                payments=store.payments,
                spent=spent,
                given_back=spent - store.owed_fen,
                owed=store.owed_fen,
                cash_for_cards=store.cash_fen,
                cash_sales=store.cash_sales_fen,
            )
        )
    return lines


# --- for people -----------------------------------------------------------------------


def render(report: DayReport) -> RenderableType:
    """The whole report."""
    day = report.day
    return Group(
        _title(
            f"{GROUP}, {day:%A} {day.day} {day:%B %Y}: "
            f"the day is closed, with {report.transfers:,} transfers in its books"
        ),
        section("What the stores sold on cards (yuan)", _store_table(report.stores)),
        section("By the hour", _hour_table(report.hours)),
        section("How people paid", _paid(report)),
        section("Payments by door", _door_table(report)),
        section("Sold while a till's line was dead (yuan)", _offline(report.offline)),
        section(
            "Topped up through every payment channel, the day after (yuan)",
            channels_part(report.channels),
        ),
        section("The night after that, and what stores were paid (yuan)", night_part(report.night)),
        section("Declined payments", _decline_table(report)),
        section("Played by dishonest people, and labelled in the journal", _dishonest(report)),
        section("What all cards are worth (yuan)", roll_table(report.roll)),
        section(
            "The audit, recomputed from the tables alone (amounts in yuan)",
            audit_table(report.audit),
        ),
        section("Speed", _speed_text(report.speed)),
    )


def print_report(console: Console, report: DayReport) -> None:
    """Print it."""
    console.print(render(report))
    defects = [defect for till in report.tills.tills for defect in till.defects]
    for line in [*report.disagreements, *defects]:
        console.print(Text(f"  DISAGREEMENT  {line}", style="bold red"))


def _title(text: str) -> RenderableType:
    return Text(f"\n{text}\n", style="bold")


def _store_table(stores: Iterable[StoreLine]) -> Table:
    table = grid(
        ("\nstore", "l"),
        ("pay-\nments", "r"),
        ("paid by\ncard", "r"),
        ("given\nback", "r"),
        ("owed to\nthe store", "r"),
        ("cash in till\nfor loads", "r"),
        ("sold for\ncash", "r"),
        gap=1,
    )
    lines = list(stores)
    total = StoreLine(
        "all stores",
        *(sum(getattr(line, f) for line in lines) for f in StoreLine.__struct_fields__[1:]),
    )
    for line in [*lines, total]:
        style = "bold" if line is total else ""
        table.add_row(
            line.name,
            f"{line.payments:,}",
            yuan(line.spent),
            yuan(line.given_back),
            yuan(line.owed),
            yuan(line.cash_for_cards),
            yuan(line.cash_sales),
            style=style,
        )
    return table


def _hour_table(hours: list[HourLine]) -> Table:
    table = grid(("", "l"), ("payments", "r"), ("yuan", "r"), ("", "l"))
    most = max((line.payments for line in hours), default=0)
    for line in hours:
        table.add_row(
            f"{line.hour:02}:00",
            f"{line.payments:,}",
            yuan(line.amount),
            Text(bar(line.payments, most), style="cyan"),
        )
    return table


def _paid(report: DayReport) -> Text:
    total = sum(report.shown.values())
    parts = [f"{SHOWN[Means(m)]} {percent(n, total)}" for m, n in report.shown.items()]
    return Text(
        f"{total:,} payments and holds approved: {', '.join(parts)}.\n"
        f"{report.splits:,} were split: what was on the card, and the rest in cash."
    )


def _door_table(report: DayReport) -> RenderableType:
    table = grid(
        ("door", "l"),
        ("payments", "r"),
        ("reversals", "r"),
        ("tills", "r"),
        ("batches settled", "r"),
    )
    tills, payments = report.tills, sum(store.payments for store in report.stores)
    table.add_row("HTTP, on the day", f"{payments:,}", f"{report.reversals:,}", "", "")
    table.add_row(
        "POS host (ISO 8583), today",
        f"{tills.done('sales'):,}",
        f"{tills.done('reversals'):,}",
        f"{len(tills.tills):,}",
        f"{tills.batches:,}",
    )
    if not tills.holds:
        return Group(table, Text("Tills and host do not agree, see below.", style="bold red"))
    told = (
        f"The tills met {tills.faults:,} faults, on purpose: answers lost or late, messages\n"
        f"doubled, reversals first, wrong MACs, garbage. {tills.uploaded:,} batches did not match\n"
        "and were uploaded. All totals are equal in till and host."
    )
    return Group(table, Text(told))


def _offline(hour: OfflineHour) -> RenderableType:
    told = (
        f"{hour.sold:,} sales of {yuan(hour.sold_fen)} in all, as the till had been granted; "
        f"{hour.declined:,} it declined.\n"
        f"Uploaded when the line was back: cards paid {yuan(hour.paid_fen)}, "
        f"their issuer lost {yuan(hour.lost_fen)},\nthe store bears {yuan(hour.refused_fen)}."
    )
    return Text(told, style="" if hour.holds else "bold red")


def counted(lines: list[tuple[str, str, int]]) -> RenderableType:
    """Two words and how often."""
    if not lines:
        return Text("None.")
    table = grid(("", "l"), ("", "l"), ("", "r"))
    for first, second, count in lines:
        table.add_row(first, second or "-", f"{count:,}")
    return table


def _decline_table(report: DayReport) -> RenderableType:
    if not report.declines:
        return Text("None.")
    table = grid(("reason", "l"), ("rule", "l"), ("count", "r"))
    for code, rule, count in report.declines:
        table.add_row(DECLINES.get(code, code), rule or "-", f"{count:,}")
    return table


def _dishonest(report: DayReport) -> RenderableType:
    if not report.dishonest:
        return Text("Nobody was, that day.")
    return Text(
        ", ".join(f"{LABELS.get(Label(name), name)}: {n}" for name, n in report.dishonest.items())
    )


def roll_table(roll: Rolled) -> Table:
    """The roll-forward, and whether it ends where the cards are."""
    table = grid(("", "l"), ("", "l"), ("", "r"))
    for sign, text, fen in (
        ("", "in the morning", roll.opening),
        ("+", "loaded for cash", roll.loaded),
        ("-", "loads voided", roll.load_voided),
        ("-", "spent", roll.spent),
        ("+", "payments voided", roll.voided),
        ("+", "payments reversed", roll.reversed),
        ("+", "goods brought back", roll.refunded),
    ):
        table.add_row(sign, text, yuan(fen))
    table.add_row("=", "in the evening, by every answer of the day", yuan(roll.closing))
    equal = roll.closing == roll.cards
    table.add_row(
        "",
        f"what {roll.count:,} cards hold, added up one by one",
        yuan(roll.cards),
        style="bold" if equal else "bold red",
    )
    verdict = "equal to the fen" if equal else f"{yuan(roll.cards - roll.closing)} off"
    table.add_row("", verdict, "", style="green" if equal else "bold red")
    return table


def audit_table(verdict: Verdict) -> RenderableType:
    """The auditor's lines, each with what it has counted, and what it found."""
    table = grid(("", "l"), ("", "l"))
    table.add_column()
    for line in verdict.lines:
        mark = Text("holds", style="green") if line.holds else Text("BREACH", style="bold red")
        told = Text(line.text)
        if line.figures:
            told.append(f" {', '.join(line.figures)}", style="dim")
        for breach in line.breaches:
            told.append(f"\n{breach}", style="red")
        for noted in line.noted:
            told.append(f"\nnoted: {noted}", style="dim")
        table.add_row(line.id, mark, told)
    return table


def _speed_text(it: Speed) -> Text:
    rate = it.requests / it.seconds if it.seconds else 0
    return Text(
        f"{it.requests:,} requests in {it.seconds:.0f} s ({rate:.0f} a second), "
        f"{it.success_bp / 100:.2f} % got their answer. "
        f"A payment took {it.payment_p50_ms:.0f} ms at the median, "
        f"{it.payment_p99_ms:.0f} ms at the 99th percentile."
    )
