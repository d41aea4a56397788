"""The POS host put together, as `composition` does with everything else."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from kabao.app.composition import Kabao
from kabao.app.settings import Settings
from kabao.base.jobs import Jobs
from kabao.base.web.metrics import Figures, Level
from kabao.edges.iso8583.after import After
from kabao.edges.iso8583.batches import Batches
from kabao.edges.iso8583.books import Books
from kabao.edges.iso8583.counter import Counter
from kabao.edges.iso8583.desk import Desk
from kabao.edges.iso8583.entries import Entries
from kabao.edges.iso8583.guesses import Guesses
from kabao.edges.iso8583.host import Host, PosTls
from kabao.edges.iso8583.limits import Limits
from kabao.edges.iso8583.meters import Meters
from kabao.edges.iso8583.reading import Reader
from kabao.edges.iso8583.sales import Sales
from kabao.edges.iso8583.sessions import Sessions
from kabao.edges.iso8583.sold import Sold
from kabao.edges.iso8583.spec import SHIPPED, shipped, words
from kabao.edges.iso8583.supervisors import Supervisors

LEFT_EVERY = timedelta(minutes=1)
"""How often batches are looked for that retired terminals left, or that were settled."""


def build_host(kabao: Kabao, *, limits: Limits | None = None, tls: PosTls | None = None) -> Host:
    """The POS host of a composed platform; `tls` from its settings unless given."""
    k = kabao
    said, zone = words(), ZoneInfo(k.settings.timezone)
    readers = [Reader(shipped(name), said, zone) for name in SHIPPED]
    guesses = Guesses(k.proofs.counters, k.policy, k.clock, k.days)
    sessions = Sessions(k.db, k.vault, k.org, k.merchants, guesses, k.clock)
    books = Books(k.ledger, k.topups, k.ids)
    entries, batches = Entries(k.db, books, k.vault, k.clock), _batches(k)
    supervisors = Supervisors(k.db, k.merchants)
    sold = _sold(k, supervisors)
    desk = Desk(
        readers,
        sessions,
        Sales(k.db, k.payments, k.cards, k.merchants, supervisors, k.vault, k.ids),
        After(
            k.db,
            k.ledger,
            k.payments,
            k.topups,
            k.org,
            k.merchants,
            k.vault,
            entries,
            books,
            batches,
            sold,
            supervisors,
        ),
        Counter(
            k.db, k.ledger, k.payments, k.topups, k.cards, k.life, k.org, k.merchants, supervisors
        ),
        sold,
        batches,
        entries,
        k.merchants,
        k.policy,
        k.clock,
        k.days,
        Meters(),
    )
    longest = max(reader.dialect.frame.max_bytes for reader in readers)
    return Host(desk, max_bytes=longest, tls=tls or _tls(k.settings), limits=limits)


def _sold(k: Kabao, supervisors: Supervisors) -> Sold:
    return Sold(
        k.db,
        k.topups,
        k.cards,
        k.life,
        k.org,
        k.merchants,
        supervisors,
        k.policy,
        k.vault,
        k.clock,
        k.days,
    )


def _batches(k: Kabao) -> Batches:
    books = Books(k.ledger, k.topups, k.ids)
    return Batches(k.db, books, k.payments, k.org, k.merchants, k.cases, k.clock)


def add_pos_jobs(kabao: Kabao, jobs: Jobs) -> None:
    """What a worker does for tills."""
    batches = _batches(kabao)
    jobs.tick("pos.settle_left", LEFT_EVERY, batches.settle_left)
    jobs.tick("pos.check_settled", LEFT_EVERY, batches.check_settled)


def show_figures(host: Host, figures: Figures) -> None:
    """Let `/metrics` tell of the host."""
    for counts in host.desk.meters.all:
        figures.registry.register(counts)
    figures.registry.register(
        Level("kabao_pos_connections", "Tills connected.", lambda: float(len(host.crowd)))
    )
    figures.registry.register(
        Level("kabao_pos_in_flight", "Messages at work.", lambda: float(host.crowd.in_flight))
    )


def _tls(settings: Settings) -> PosTls | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return PosTls(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
