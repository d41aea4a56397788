"""What the routes of reports share: scope, names, how a report is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from litestar import Response
from msgspec import Meta

from kabao.base.db import Database
from kabao.base.errors import FORBIDDEN, NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.sheets import Sheet
from kabao.base.sheets.html import POLICY, html
from kabao.base.sheets.pdf import pdf
from kabao.base.web.principal import Principal
from kabao.merchants.ops import Merchants
from kabao.org.model import Store
from kabao.org.ops import Org
from kabao.reports.http.views import COMPANY, STORE
from kabao.reports.model.drawing import day_sheet, state_note
from kabao.reports.ops import Report, Reports

Drawn = Annotated[Literal["json", "html", "pdf"], Meta(description="`pdf` needs the extra `docs`.")]


class ReportDesk:
    """What the routes share: whose figures a key may see, names, and how they are drawn."""

    def __init__(
        self,
        db: Database,
        reports: Reports,
        org: Org,
        merchants: Merchants,
        fonts_dir: Path | None,
    ) -> None:
        self.db, self.reports = db, reports
        self._org, self._merchants, self._fonts_dir = org, merchants, fonts_dir

    def issuer(self, principal: Principal, company: str | None) -> str | None:
        """Whose cards: those of a company in scope, or None, all.

        A key for one company gets its own without asking. Raises `forbidden`, `not_found`.
        """
        if company is not None:
            ident = from_edge(COMPANY, company, field="company")
            if self._org.company(ident) is None or not principal.covers(ident):
                raise NOT_FOUND.error("There is no such company.", field="company")
            return ident
        if principal.whole_group:
            return None
        if not principal.covers(principal.company):
            raise FORBIDDEN.error("A key for certain stores sees their sheets only.")
        return principal.company

    def store(self, principal: Principal, text: str) -> Store:
        """A store in scope. Raises `not_found`."""
        ident = from_edge(STORE, text, field="store")
        found = self._org.store(ident)
        if (
            found is None
            or not principal.may_see_store(ident)
            or not principal.may_see_company(found.company)
        ):
            raise NOT_FOUND.error("There is no such store.", field="store")
        return found

    def name(self, ident: str | None) -> str:
        """What something is called; what nobody knows by name keeps the end of its id."""
        if ident is None:
            return "-"
        if (store := self._org.store(ident)) is not None:
            return f"{store.code} {store.name}"
        if (company := self._org.company(ident)) is not None:
            return company.name
        if (cashier := self._merchants.cashier(ident)) is not None:
            return cashier.code
        return f"…{ident[-6:]}"

    def company_name(self, issuer: str | None) -> str:
        """The heading of a report."""
        return "all companies" if issuer is None else self.name(issuer)

    def edge(self, owner: str) -> str:
        """The id of a store or a company, as at the edge."""
        return to_edge(COMPANY if self._org.store(owner) is None else STORE, owner)

    def drawn(self, sheet: Sheet, form: Drawn) -> Response[Any]:
        """A sheet as a page or on paper. Raises `pdf_not_installed`."""
        if form == "pdf":
            return Response(pdf(sheet, self._fonts_dir), media_type="application/pdf")
        headers = {"content-security-policy": POLICY}
        return Response(html(sheet), media_type="text/html", headers=headers)

    def day_sheet(self, report: Report) -> Sheet:
        """A day's report for people."""
        return day_sheet(
            "all companies" if report.issuer is None else self.name(report.issuer),
            report.day,
            state_note(closed=report.closed, agrees=report.agrees),
            report.books,
            report.open_items,
            report.positions,
            self.name,
        )
