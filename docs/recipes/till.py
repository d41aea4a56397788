"""A small till that goes on selling when its line is dead: `python till.py settings.json`.

Reads what the cashier does from standard input, a line each:

    sale 1234 98888000…    12.34 yuan from the card whose barcode was scanned
    quiet                  nobody is waiting: settle, upload, fetch fresh terms
    slip                   print the last slip again

and tells what became of it on standard output. `settings.json` says which till this is;
docs/recipes/offline-till.md explains every line.
"""

# ruff: noqa: T201, TID251 -- a program of its own, which prints and has a clock
import json
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from kabao.till import (
    Journal,
    Outcome,
    PendingError,
    Queue,
    QueueEntry,
    Settings,
    TermsError,
    Till,
    UnreachableError,
    UploadRefusedError,
    Wire,
    offline_slip,
)
from kabao.till.model import Entry

BEIJING = timezone(timedelta(hours=8))


def switch_on(told: dict) -> Till:
    """The till as it was when its power went."""
    folder, key = Path(told["folder"]), bytes.fromhex(told["machine_key"])
    journal: Journal[Entry] = Journal(folder / "journal", key, Entry)
    queue: Journal[QueueEntry] = Journal(folder / "queue", key, QueueEntry)
    settings = Settings(
        told["store"],
        told["terminal"],
        patience_s=told.get("patience_s", 20.0),
        reversal_s=told.get("reversal_s", 10.0),
        platform_keys=(bytes.fromhex(told["platform_key"]),),
    )
    wire = Wire(told["hosts"], told["api_key"])
    return Till(settings, wire, journal, Queue(queue, lambda: datetime.now(UTC)))


def quiet(till: Till) -> str:
    """What a till does every few minutes when nobody is waiting, and when it starts."""
    try:
        settled = till.settle()
        uploaded = till.upload()
        till.fetch_terms()
    except (PendingError, UnreachableError):
        return "line dead"
    except UploadRefusedError as refused:
        return f"upload refused: {refused.code}; call the store's office"
    except TermsError as forged:
        return f"terms refused: {forged}"
    paid, lost = sum(line.paid for line in uploaded), sum(line.lost for line in uploaded)
    refused = sum(line.refused for line in uploaded)
    return f"settled {len(settled)}, uploaded {len(uploaded)}: {paid} {lost} {refused}"


def sale(till: Till, amount_fen: int, barcode: str) -> str:
    """What the cashier is told: may the goods be handed out?"""
    try:
        result = till.sale(amount_fen, {"type": "barcode", "data": barcode}, reference="order")
    except UploadRefusedError as refused:
        return f"NO: upload refused, {refused.code}"
    match result.outcome:
        case Outcome.APPROVED:
            return f"YES: {result.approved_fen}, {result.balance_after_fen} left"
        case Outcome.OFFLINE:
            return f"YES, offline: {result.approved_fen}"
        case Outcome.REVERSED:
            return "NO: no answer in time; nothing was paid, try again"
        case _:
            return f"NO: {result.outcome}, {result.code}"


def slip(till: Till, told: dict, copy: int = 1) -> str:
    """Only for the sale that was made without a line: the platform prints the others."""
    return offline_slip(
        till.waiting[-1],
        store=told["store_name"],
        terminal_no=told["terminal_no"],
        zone=BEIJING,
        copy=copy,
    )


def main() -> None:
    """Sell until the input ends."""
    told = json.loads(Path(sys.argv[1]).read_text())
    till = switch_on(told)
    print(quiet(till), flush=True)
    for line in sys.stdin:
        match line.split():
            case ["sale", amount_fen, barcode]:
                answer = sale(till, int(amount_fen), barcode)
                print(answer, flush=True)
                if answer.startswith("YES, offline"):
                    print(slip(till, told), end="", flush=True)
            case ["quiet"]:
                print(quiet(till), flush=True)
            case ["slip"] if till.waiting:
                print(slip(till, told, copy=2), end="", flush=True)
            case _:
                print("what?", flush=True)


if __name__ == "__main__":
    main()
