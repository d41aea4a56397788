"""A till as a program of its own, so that it can be killed: `python till_process.py JSON`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from kabao.till import Journal, Queue, QueueEntry, Settings, Till, Wire
from kabao.till.model import Entry

KEY = bytes(32)


def main() -> None:
    told = json.loads(sys.argv[1])
    journal: Journal[Entry] = Journal(Path(told["journal"]), KEY, Entry)
    queue = None
    if told.get("queue"):
        kept: Journal[QueueEntry] = Journal(Path(told["queue"]), KEY, QueueEntry)
        queue = Queue(kept, lambda: datetime.now(UTC))  # noqa: TID251 -- a till's clock
    patience = {name: told[name] for name in ("patience_s", "reversal_s") if name in told}
    settings = Settings(told["store"], told["terminal"], **patience)
    till = Till(settings, Wire(told["hosts"], told["api_key"]), journal, queue)
    if told.get("refund"):
        till.refund(told["refund"], told["amount"])
    elif told.get("upload"):
        till.upload()
    else:
        till.sale(told["amount"], told["source"], reference="killed")


if __name__ == "__main__":
    main()
