"""What a till needs to sell over a bad line: a package for till makers.

Knows nothing of the platform but its HTTP door; needs `kabao.sm2`, `msgspec` and
`cryptography` besides the standard library.

Words
  till      one till of one store, used by one thread; `Till` is all a till maker calls
  journal   what was begun and what became of it: written and synced before anything
            is sent, sealed with the till's own key, bounded
  pending   begun, and the outcome is not known: settled before the next sale
  terms     what the platform allowed beforehand, signed; valid for some hours
  queue     what was sold without a line under the terms, sealed; uploaded before
            anything is sold online again
  doubt     a request that left and was not answered

Invariants
  one id for all tries of a sale, and it is in the journal before the first try
  a sale whose outcome stays unknown is reversed, also after a power cut
  a refund or void whose outcome stays unknown is repeated until it is answered
"""

from kabao.till.client import Till
from kabao.till.journal import Journal
from kabao.till.model import (
    JournalError,
    Outcome,
    PendingError,
    Result,
    Settings,
    TermsError,
    UnreachableError,
    UploadRefusedError,
)
from kabao.till.offline import Queue, QueueEntry, Sold
from kabao.till.slip import offline_slip
from kabao.till.wire import Wire

__all__ = [
    "Journal",
    "JournalError",
    "Outcome",
    "PendingError",
    "Queue",
    "QueueEntry",
    "Result",
    "Settings",
    "Sold",
    "TermsError",
    "Till",
    "UnreachableError",
    "UploadRefusedError",
    "Wire",
    "offline_slip",
]
