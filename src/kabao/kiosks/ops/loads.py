"""What was inserted goes onto cards: by the machine, or afterwards by people."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from kabao.access.model import Approval
from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.principal import Principal
from kabao.cards.model import APPROVAL_NEEDED, CardRef
from kabao.cases.ops import Cases
from kabao.kiosks import sql
from kabao.kiosks.model import NOT_CREDITED, NOTES_DIFFER, Credit, Session
from kabao.kiosks.ops.payouts import SESSION
from kabao.merchants.model import Till
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.policy import names
from kabao.policy.ops import NATIONAL, Policy
from kabao.topups.model import TopUp
from kabao.topups.ops import NewTopUp, TopUps


class KioskCredit(Struct, frozen=True, forbid_unknown_fields=True):
    """A load of another card that waits for the second person. Ids as at the edge."""

    session: str
    amount: int
    card: str


class Loads:
    """The verbs of loading what is left of a visit; all take the caller's transaction."""

    def __init__(
        self,
        topups: TopUps,
        cases: Cases,
        merchants: Merchants,
        org: Org,
        policy: Policy,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._topups, self._cases, self._merchants, self._org = topups, cases, merchants, org
        self._policy, self._clock, self._days = policy, clock, days

    async def by_person(
        self, conn: Conn, by: Principal, ident: str, card: str | None, reason: str
    ) -> tuple[Session, TopUp]:
        """A person loads what a machine did not, and its case is resolved; `card`: another one
        than was shown there, which takes two persons from a sum on.

        Raises `not_found`, `nothing_left`, `approval_needed`, `case_taken`, and as
        `TopUps.load`.
        """
        session = await self._locked(conn, ident)
        if card not in {None, session.card}:
            self._check_alone(session.rest_fen)
        loaded = await self.load(conn, by.company, session, card or session.card, by.id, reason)
        await self._settle(conn, by, session, loaded[1])
        return loaded

    async def ask(
        self, conn: Conn, by: Principal, ident: str, amount_fen: int, card: str
    ) -> KioskCredit:
        """What the second person is asked: to load all of the rest onto another card. Whoever
        asks is at the case from now on.

        Raises `not_found`, `nothing_left`, `notes_differ`, `case_taken`.
        """
        session = await self._locked(conn, ident)
        _check_rest(session, amount_fen)
        await self._cases.take_named(conn, by, NOT_CREDITED, session.case_key)
        return KioskCredit(to_edge(SESSION, ident), amount_fen, to_edge("card", card))

    async def agreed(
        self, conn: Conn, asked: KioskCredit, approval: Approval
    ) -> tuple[Session, TopUp]:
        """Two persons agree that a rest goes onto another card. Raises as `ask`, and as
        `TopUps.load`.
        """
        session = await self._locked(conn, from_edge(SESSION, asked.session))
        _check_rest(session, asked.amount)
        card = from_edge("card", asked.card)
        loaded = await self.load(
            conn, approval.company, session, card, approval.maker, approval.reason
        )
        await self._settle(conn, None, session, loaded[1])
        return loaded

    async def load(
        self,
        conn: Conn,
        company: str,
        session: Session,
        card: str,
        by: str | None = None,
        reason: str | None = None,
    ) -> tuple[Session, TopUp]:
        """Load all of the rest, in the name of a person unless it is the machine. The machine
        is locked.

        Raises `nothing_left`, and as `TopUps.load`.
        """
        after, store = session.credited(), self._org.store(session.store)
        assert store is not None, "a visit to no store"
        amount_fen = after.credited_fen - session.credited_fen
        new = NewTopUp(
            company=company,
            # A blank: no client's key. What was credited before makes it another each time.
            key=f"topup/kiosk {session.id} {session.credited_fen}",
            mac=b"kiosk",
            source=CardRef(to_edge("card", card)),
            amount_fen=amount_fen,
            currency="CNY",
            store=store,
            till=Till(self._merchants.terminal(session.terminal), None, None),
            reference=to_edge(SESSION, session.id),
            payer=None,
        )
        (topup,) = await self._topups.load_in(conn, [new])
        after = replace(after, last_at=now(self._clock))
        await sql.update_session(conn, after)
        await sql.insert_credit(
            conn, Credit(topup.id, session.id, amount_fen, by, reason, now(self._clock))
        )
        return after, topup

    async def _settle(
        self, conn: Conn, by: Principal | None, session: Session, topup: TopUp
    ) -> None:
        outcome = f"Loaded: {to_edge('top', topup.id)}."
        await self._cases.settle(conn, by, NOT_CREDITED, session.case_key, outcome)

    async def _locked(self, conn: Conn, ident: str) -> Session:
        found = await sql.lock_session(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such visit.")
        return found

    def _check_alone(self, amount_fen: int) -> None:
        """Another card may be the own one of whoever loads it, as good as money."""
        rules = self._policy.rules(jurisdiction=NATIONAL, on=self._days.of(self._clock.now_us()))
        name = names.APPROVAL_CASH_OUT_FROM_FEN
        if amount_fen >= rules.int(name):
            raise APPROVAL_NEEDED.error(rule=rules.row(name), field="card")


def _check_rest(session: Session, amount_fen: int) -> None:
    session.credited()
    if amount_fen != session.rest_fen:
        raise NOTES_DIFFER.error(f"{session.rest_fen} fen are left.", rule="T-03")
