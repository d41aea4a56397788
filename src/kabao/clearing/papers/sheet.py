"""A statement as a sheet for people."""

from __future__ import annotations

from kabao.base.ids import to_edge
from kabao.base.sheets import Note, Section, Sheet, table
from kabao.clearing.model.settlement import SETTLEMENT, SettlementState
from kabao.clearing.model.statements import Statement
from kabao.clearing.papers import WORDS, Names, yuan

_STATES = {
    SettlementState.PROVISIONAL: "Provisional: the sources of this day are not all compared yet.",
    SettlementState.KEPT_OUT: "Kept out: a source of this day does not agree with the books yet.",
    SettlementState.DUE: "Final.",
}


def sheet(one: Statement, names: Names) -> Sheet:
    """The document: parties, figures, and where the slips behind them are found."""
    ident = to_edge(SETTLEMENT, one.settlement)
    parties = table(
        ("Of", "Name", "Number"),
        (
            ("Store", names.store, to_edge("sto", one.store)),
            ("Company", names.company, to_edge("com", one.company)),
            ("Issuer of the cards", names.issuer, to_edge("com", one.issuer)),
            ("Paid to", names.account or "the company's account", ""),
        ),
    )
    figures = table(
        ("Line", f">Amount, {one.currency}"),
        (
            ("Carried over", yuan(one.opening_fen)),
            *((WORDS[line.kind], yuan(line.amount_fen)) for line in one.lines),
        ),
        ("Left for the next settlement", yuan(one.closing_fen)),
    )
    notes = [Note(_STATES[one.state], alarm=one.state is SettlementState.KEPT_OUT)]
    if one.due_on is not None:
        notes.append(Note(f"Paid on {one.due_on}."))
    notes.append(
        Note(f"{one.transfers} transfers are behind it: GET /v1/settlements/{ident}/transfers")
    )
    return Sheet(
        title="Settlement statement",
        subtitle=f"{names.store}, window of {one.day}, {ident}",
        sections=(
            Section("Parties", (parties,)),
            Section("Figures", (figures, *notes)),
        ),
    )
