"""What reports are made of: sums, bars, tables without lines. Pure."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

BAR_CHARS = 36
_BARS = " ▏▎▍▌▋▊▉█"


def percent(part: int, whole: int) -> str:
    """`12.3 %`."""
    return f"{part / whole:.1%}".replace("%", " %") if whole else "-"


def bar(value: int, most: int) -> str:
    """A bar of blocks, an eighth of a character fine."""
    eighths = round(value / most * BAR_CHARS * 8) if most else 0
    full, rest = divmod(eighths, 8)
    return "█" * full + (_BARS[rest] if rest else "")


def section(title: str, body: RenderableType) -> RenderableType:
    """A part of a report under its title."""
    return Group(Text(title, style="bold cyan"), Padding(body, (0, 0, 1, 2), expand=False))


def grid(*columns: tuple[str, str], gap: int = 2) -> Table:
    """A table without lines; columns are heading and justification."""
    headed = any(heading for heading, _ in columns)
    table = Table(
        box=None, pad_edge=False, header_style="dim", padding=(0, gap, 0, 0), show_header=headed
    )
    for heading, justify in columns:
        table.add_column(heading, justify="right" if justify == "r" else "left", no_wrap=True)
    return table
