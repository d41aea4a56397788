"""Giving back what a machine took and nobody loads."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post

from kabao.access.model import ApprovalView, Deed, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import KEY_HEADER, EdgeId, idempotency_key
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.customers.ops import Customers
from kabao.kiosks.approvals import PAYOUT_ACTION
from kabao.kiosks.http.bodies import CashPayoutBody, TransferBody
from kabao.kiosks.http.scope import PAYOUT, visible_visit
from kabao.kiosks.http.views import PaidOutView, paid_out
from kabao.kiosks.model import Session
from kabao.kiosks.ops import SESSION, FromDrawer, Kiosks
from kabao.merchants.model import EntryKind, OverrideVerb, alone_fen
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org


@post(
    "/v1/kiosk-sessions/{session:str}/payout",
    guards=[requires(PAYOUT)],
    status_code=200,
    tags=["kiosks"],
)
async def pay_in_cash(
    request: Request[Any, Any, Any],
    principal: Principal,
    session: EdgeId,
    data: CashPayoutBody,
    once: Once,
    db: Database,
    kiosks: Kiosks,
    org: Org,
    merchants: Merchants,
    access: Access,
) -> Response[PaidOutView]:
    """Give the customer what a machine took and did not load, in cash out of a drawer.

    All of the rest at once, and no more than may be paid in cash. It is paid out of the
    cashier's shift, by the rules of paying out: from a sum on a supervisor allows it
    (`POST /v1/overrides`, verb `paid_out`, the shift as its subject).
    """
    key = idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    found = await visible_visit(principal, db, kiosks, org, session)
    kiosks.payouts.check_cash(data.amount)
    drawer = FromDrawer(from_edge("shf", data.shift, field="shift"), None, None)
    if not await once.answered(request, principal):
        drawer = await _drawer(db, merchants, found, data, f"{principal.company}/kiosk/{key}")

    async def work(conn: Conn) -> PaidOutView:
        after, payout = await kiosks.payouts.in_cash(
            conn, principal, found.id, data.amount, drawer, data.reason
        )
        deed = Deed(verb=PAYOUT, subject=to_edge(SESSION, found.id), reason=data.reason)
        await access.log.write(conn, principal, deed)
        return paid_out(after, payout)

    return await once(request, principal, data, work)


async def _drawer(
    db: Database, merchants: Merchants, visit: Session, data: CashPayoutBody, key: str
) -> FromDrawer:
    """The drawer of a shift in the visit's store, with whoever lets its cashier pay out.

    Raises `not_found`, `override_needed`, `override_not_valid`.
    """
    overrides, verb = merchants.overrides, OverrideVerb.PAID_OUT
    async with db.read() as conn:
        shift = await merchants.shifts.get(conn, from_edge("shf", data.shift, field="shift"))
        before = await merchants.shifts.drawers.entries(conn, shift.id)
    if shift.store != visit.store:
        raise NOT_FOUND.error("There is no such shift in the store of the kiosk.", field="shift")
    supervisor = await overrides.at_drawer(
        shift,
        verb,
        (alone_fen(before, EntryKind.PAID_OUT), data.amount),
        from_edge("ovr", data.override, field="override") if data.override else None,
        key=key,
    )
    alone = overrides.rules().alone_at_drawer(verb) if supervisor is None else None
    return FromDrawer(shift.id, supervisor, alone)


@post(
    "/v1/kiosk-sessions/{session:str}/payout/requests",
    guards=[requires(PAYOUT)],
    status_code=201,
    tags=["kiosks"],
)
async def ask_for_transfer(
    request: Request[Any, Any, Any],
    principal: Principal,
    session: EdgeId,
    data: TransferBody,
    once: Once,
    db: Database,
    kiosks: Kiosks,
    org: Org,
    customers: Customers,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree that what is left of a visit is transferred.

    To an account in the payee's own name, which the treasurer asks for; the order names the
    visit. The payee's identity must be proven.
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    found = await visible_visit(principal, db, kiosks, org, session)
    payee = from_edge("cus", data.payee, field="payee")

    async def work(conn: Conn) -> ApprovalView:
        if not principal.may_see_company(await customers.company_of(conn, payee)):
            raise NOT_FOUND.error("There is no such customer.", field="payee")
        payload = await kiosks.payouts.ask(conn, principal, found.id, data.amount, payee)
        companies = frozenset({found.company})
        asked = await access.approvals.ask(
            conn, principal, PAYOUT_ACTION, payload, data.reason, companies=companies
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


ROUTES = [pay_in_cash, ask_for_transfer]
