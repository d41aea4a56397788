"""`python -m kabao.app.reference [--check] [--into FOLDER]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from kabao.app.reference.api import openapi
from kabao.app.reference.commands import commands
from kabao.app.reference.errors import errors
from kabao.app.reference.life import card_life
from kabao.app.reference.policy import policy
from kabao.app.reference.schema import schema
from kabao.app.reference.verbs import verbs

FOLDER = Path(__file__).parents[4] / "docs" / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "openapi.json": openapi,
    "errors.md": errors,
    "policy.md": policy,
    "schema.sql": schema,
    "card-life.md": card_life,
    "verbs.md": verbs,
    "commands.md": commands,
}
"""Every generated page with what makes it."""


def stale(folder: Path) -> list[str]:
    """The pages that are not what the code says now."""
    return [
        name
        for name, make in PAGES.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != make()
    ]


def main(arguments: list[str]) -> int:
    """Write the pages, or only look at them."""
    parser = argparse.ArgumentParser(prog="python -m kabao.app.reference")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if any is stale")
    parser.add_argument("--into", type=Path, default=FOLDER, help="the folder of the pages")
    asked = parser.parse_args(arguments)
    found = stale(asked.into)
    if asked.check:
        print("\n".join(f"{name} is stale" for name in found) or "Every page is up to date.")
        return 1 if found else 0
    asked.into.mkdir(parents=True, exist_ok=True)
    for name in found:
        (asked.into / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"{name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
