"""What the hot path asks of this slice, in memory."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from kabao.merchants.model import (
    Cashier,
    FeePlan,
    FeeTerm,
    SealedKey,
    Shift,
    Terminal,
    TerminalKeyState,
    TerminalState,
    term_on,
)


class Snapshot:
    """Terminals, their keys, cashiers, open shifts and fees as of one revision."""

    def __init__(self) -> None:
        self.revision = 0
        self.terminals: dict[str, Terminal] = {}
        self.cashiers: dict[str, Cashier] = {}
        self._terminal_of: dict[tuple[str, str], Terminal] = {}
        self._cashier_of: dict[tuple[str, str], Cashier] = {}
        self._key_of: dict[str, SealedKey] = {}
        self._shift_of: dict[str, Shift] = {}
        self._plans: dict[str, FeePlan] = {}
        self._terms: dict[str, dict[date, FeeTerm]] = {}

    def terminal_by_no(self, store: str, terminal_no: str) -> Terminal | None:
        """A terminal by its number within its store."""
        return self._terminal_of.get((store, terminal_no))

    def cashier_by_code(self, store: str, code: str) -> Cashier | None:
        """A cashier by the code within the store."""
        return self._cashier_of.get((store, code))

    def key(self, terminal: str) -> SealedKey | None:
        """The master key a terminal has in use, sealed."""
        return self._key_of.get(terminal)

    def open_shift(self, cashier: str) -> Shift | None:
        """The shift a cashier has under way."""
        return self._shift_of.get(cashier)

    def fee_plan(self, store: str, day: date) -> FeePlan | None:
        """The plan a store is under on a day."""
        term = term_on(self._terms.get(store, {}).values(), day)
        return None if term is None or term.plan is None else self._plans[term.plan]

    def take(
        self,
        revision: int,
        terminals: Iterable[Terminal],
        keys: Iterable[SealedKey],
        cashiers: Iterable[Cashier],
        shifts: Iterable[Shift],
        plans: Iterable[FeePlan],
        terms: Iterable[FeeTerm],
    ) -> None:
        """Take over changes. Keys and shifts come in the order of their revisions."""
        for terminal in terminals:
            self._take_terminal(terminal)
        for key in keys:
            if key.state is TerminalKeyState.ACTIVE:
                self._key_of[key.terminal] = key
            elif (used := self._key_of.get(key.terminal)) and used.id == key.id:
                del self._key_of[key.terminal]
        for cashier in cashiers:
            self.cashiers[cashier.id] = cashier
            self._cashier_of[cashier.store, cashier.code] = cashier
        for shift in shifts:
            if shift.is_open:
                self._shift_of[shift.cashier] = shift
            elif (current := self._shift_of.get(shift.cashier)) and current.id == shift.id:
                del self._shift_of[shift.cashier]
        self._plans.update((plan.id, plan) for plan in plans)
        for term in terms:
            self._terms.setdefault(term.store, {})[term.effective_from] = term
        self.revision = revision

    def _take_terminal(self, terminal: Terminal) -> None:
        """A number is found for whoever has it now; a retired terminal's may have gone on."""
        before = self.terminals.get(terminal.id)
        if before is not None and before.terminal_no != terminal.terminal_no:
            self._terminal_of.pop((before.store, before.terminal_no), None)
        self.terminals[terminal.id] = terminal
        place = (terminal.store, terminal.terminal_no)
        holder = self._terminal_of.get(place)
        retired = terminal.state is TerminalState.RETIRED
        if not retired or holder is None or holder.id == terminal.id:
            self._terminal_of[place] = terminal
