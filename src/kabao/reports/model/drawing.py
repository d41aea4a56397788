"""Reports as sheets, for people. Pure: names are handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from kabao.base.money import yuan
from kabao.base.sheets import Bar, Chart, Note, Part, Section, Sheet, table
from kabao.reports.model.figures import DayBooks, Line, PlaceLine, Roll
from kabao.reports.model.night import OpenItem, Position

Names = Callable[[str | None], str]
"""What a company, a store or a cashier is called."""

WORDS = {
    Line.LOADED: "loaded, less what went back the same way",
    Line.BONUS: "given on top",
    Line.REDEEMED: "spent in stores",
    Line.GIVEN_BACK: "given back by stores",
    Line.PAID_OUT: "paid out to holders",
    Line.SUSPENDED: "refunds that fit no card",
    Line.ADJUSTED: "adjusted by two persons",
    Line.LAPSED: "given value that ran out",
    Line.LOST: "sold without a line, and no card could pay",
    Line.RECALLED: "taken back by channels",
    Line.DISPUTED: "credited while disputed",
    Line.MOVED: "between two cards, under way",
    Line.OTHER: "other",
}
PROVISIONAL = "This day is not closed yet: its figures can still change."
AGREES = "The day is closed. Its figures were read again, and are those that were kept of it."
CLOSED = "The day is closed."
DIFFERS = (
    "The day is closed, but its figures are NOT those that were kept of it. "
    "Run `kabao audit` and `kabao day reopen-check` before anything is paid."
)
_PLACE_COLUMNS = (">payments", ">spent", ">given back", ">loads", ">loaded", ">paid out")


def day_sheet(
    title: str,
    day: date,
    state: Note,
    books: DayBooks,
    open_items: Sequence[OpenItem],
    positions: Sequence[Position],
    names: Names,
) -> Sheet:
    """A day. Amounts are yuan."""
    hours = Chart(
        tuple(
            Bar(f"{h.hour:02}:00", h.spent_fen, f"{yuan(h.spent_fen)} in {h.payments:,}")
            for h in books.hours
        )
    )
    return Sheet(
        f"Day report: {title}",
        f"{day:%A} {day.isoformat()}, amounts in yuan",
        (
            Section("State", (state,)),
            Section("What all cards are worth", tuple(_roll(roll, names) for roll in books.roll)),
            Section("Spent by the hour", (hours,) if books.hours else (Note("Nothing."),)),
            Section("By store", (_places("store", books.stores, names),)),
            Section("Payments by door", (_doors(books),)),
            Section("Loads by channel", (_channels(books),)),
            Section("Who owes whom", (_positions(positions, names),)),
            Section("Open after this day", (_open(open_items, day),)),
        ),
    )


def store_sheet(
    name: str,
    day: date,
    state: Note,
    cashiers: Sequence[PlaceLine],
    positions: Sequence[Position],
    names: Names,
) -> Sheet:
    """A store's day, cashier by cashier."""
    return Sheet(
        f"Store sheet: {name}",
        f"{day:%A} {day.isoformat()}, amounts in yuan",
        (
            Section("State", (state,)),
            Section("By cashier", (_places("cashier", cashiers, names),)),
            Section("What the store is owed", (_positions(positions, names),)),
        ),
    )


def state_note(*, closed: bool, agrees: bool | None) -> Note:
    """How much the figures can be relied on."""
    if not closed:
        return Note(PROVISIONAL)
    if agrees is None:
        return Note(CLOSED)
    return Note(AGREES) if agrees else Note(DIFFERS, alarm=True)


def _roll(roll: Roll, names: Names) -> Part:
    rows = [("", "in the morning", yuan(roll.opening_fen))]
    rows += [
        ("+" if fen >= 0 else "-", WORDS[Line(line)], yuan(abs(fen)))
        for line, fen in roll.lines.items()
    ]
    total = ("=", "in the evening", yuan(roll.closing_fen))
    return table(("", f"{names(roll.issuer)}, {roll.currency}", ">"), rows, total)


def _doors(books: DayBooks) -> Part:
    return table(
        ("door", ">payments", ">spent", ">given back"),
        [
            (d.door, f"{d.payments:,}", yuan(d.spent_fen), yuan(d.given_back_fen))
            for d in books.doors
        ],
    )


def _channels(books: DayBooks) -> Part:
    return table(
        ("channel", ">loads", ">loaded", ">went back"),
        [(c.channel, f"{c.loads:,}", yuan(c.loaded_fen), yuan(c.back_fen)) for c in books.channels],
    )


def _places(kind: str, lines: Iterable[PlaceLine], names: Names) -> Part:
    each = list(lines)
    rows = [(names(line.place), *_cells(line)) for line in each]
    figures = [sum(getattr(line, f) for line in each) for f in PlaceLine.__struct_fields__[1:]]
    return table((kind, *_PLACE_COLUMNS), rows, ("all", *_cells(PlaceLine(None, *figures))))


def _cells(line: PlaceLine) -> tuple[str, ...]:
    return (
        f"{line.payments:,}",
        yuan(line.spent_fen),
        yuan(line.given_back_fen),
        f"{line.loads:,}",
        yuan(line.loaded_fen),
        yuan(line.paid_out_fen),
    )


def _positions(positions: Sequence[Position], names: Names) -> Part:
    if not positions:
        return Note("Nothing was netted.")
    return table(
        ("issuer", "owes", ">redeemed", ">given back", ">fees", ">cash set off", ">net", "state"),
        [
            (
                names(p.issuer),
                names(p.store or p.company),
                yuan(p.redeemed_fen),
                yuan(p.given_back_fen),
                yuan(p.fees_fen),
                yuan(p.cash_fen),
                yuan(p.net_fen),
                p.state if p.due_on is None else f"{p.state}, {p.due_on}",
            )
            for p in positions
        ],
    )


def _open(items: Sequence[OpenItem], day: date) -> Part:
    if not items:
        return Note("Nothing: everything that was compared agrees.")
    return table(
        ("source", "difference", ">items", ">amount", ">oldest, days"),
        [
            (i.source, i.kind, f"{i.count:,}", yuan(i.amount_fen), str((day - i.oldest).days))
            for i in items
        ],
    )
