"""A till as a program of its own, so that it can be killed: `python till_process.py JSON`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kabao.till import Journal, Settings, Till, Wire
from kabao.till.model import Entry

KEY = bytes(32)


def main() -> None:
    told = json.loads(sys.argv[1])
    journal: Journal[Entry] = Journal(Path(told["journal"]), KEY, Entry)
    till = Till(
        Settings(told["store"], told["terminal"]), Wire(told["hosts"], told["api_key"]), journal
    )
    if told.get("refund"):
        till.refund(told["refund"], told["amount"])
    else:
        till.sale(told["amount"], told["source"], reference="killed")


if __name__ == "__main__":
    main()
