"""Netting: who pays whom how much, so that all are even (C-01, L-12).

Every claim makes its debtor pay more and its party be paid more. What a company owes and
what it is owed are set against each other; only differences are paid, largest first.
Claims of a company on itself vanish by the same rule: they are on both of its sides.

In the books each run takes every claim off PAYABLE over the debtor's NETTING account,
puts what is paid back on PAYABLE from the payer's, and moves what is left to the payer's
SET_OFF: so NETTING is zero for every company, and what a company set off as a debtor is
what it gave up as a creditor.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from itertools import groupby

import msgspec

from kabao.clearing.model.canonical import derived_id
from kabao.clearing.model.terms import Terms


class Claim(msgspec.Struct, frozen=True, order=True):
    """What an issuer owes somebody when a run begins; below zero: what is owed to it."""

    debtor: str
    """The issuer (issuer on PAYABLE)."""
    owner: str
    """Whose PAYABLE it is on: a store, or a company for what was carried over."""
    company: str
    """The owner's legal entity."""
    currency: str
    amount_fen: int
    store: str | None = None
    """The owner, where it is a store with an account of its own."""
    sources: tuple[str, ...] = ()
    """Ids of the settlements and carried items it consists of, sorted."""

    @property
    def party(self) -> str:
        """Who is paid; a store that owes is answered for by its company."""
        return self.store if self.store is not None and self.amount_fen > 0 else self.company


class Position(msgspec.Struct, frozen=True, order=True):
    """A party's balance in a run. Fen. `owed - paid = owes - pays`: what it set off."""

    party: str
    currency: str
    owed_fen: int
    """Its claims on others, and on itself."""
    owes_fen: int
    """Claims on it."""

    @property
    def net_fen(self) -> int:
        """What it is paid; below zero: what it pays."""
        return self.owed_fen - self.owes_fen

    @property
    def set_off_fen(self) -> int:
        """What it neither pays nor is paid, because others owe it as much."""
        return self.owes_fen - max(0, -self.net_fen)


class Payment(msgspec.Struct, frozen=True, order=True):
    """One payment of a run; `carried` ones are too small and wait for the next."""

    id: str
    payer: str
    party: str
    store: str | None
    company: str
    currency: str
    amount_fen: int
    carried: bool
    sources: tuple[str, ...]
    """Settlements and carried items of the payee."""


class RunInputs(msgspec.Struct, frozen=True):
    """All that a netting run is made of. Claims are sorted, one to a debtor, owner, currency."""

    run: str
    claims: tuple[Claim, ...]
    terms: dict[str, Terms]
    """Of every debtor, and of every company that is owed or answers for its stores."""


class RunResult(msgspec.Struct, frozen=True):
    """What a netting run came to, each list sorted."""

    run: str
    netted: tuple[Claim, ...]
    kept: tuple[Claim, ...]
    """Stores that owe and, by their issuer's terms, wait for their next settlement."""
    positions: tuple[Position, ...]
    payments: tuple[Payment, ...]


def joined(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """Claims of one debtor and owner as one, sorted; those that come to nothing stay in.

    A claim of nothing is kept: what it consists of is settled by this run, too.
    """
    by_key: defaultdict[tuple[str, str, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        by_key[claim.debtor, claim.owner, claim.currency].append(claim)
    return tuple(
        msgspec.structs.replace(
            same[0],
            amount_fen=sum(each.amount_fen for each in same),
            sources=tuple(sorted(source for each in same for source in each.sources)),
        )
        for _, same in sorted(by_key.items())
    )


def net(inputs: RunInputs) -> RunResult:
    """Pure. Every fen of every claim is paid, set off or kept."""
    kept = [claim for claim in inputs.claims if _waits(claim, inputs.terms)]
    netted = [claim for claim in inputs.claims if not _waits(claim, inputs.terms)]
    positions = _positions(netted)
    return RunResult(
        run=inputs.run,
        netted=tuple(netted),
        kept=tuple(kept),
        positions=tuple(positions),
        payments=tuple(sorted(_payments(inputs, netted, positions))),
    )


def _waits(claim: Claim, terms: Mapping[str, Terms]) -> bool:
    """A debt of a store within the issuer's own company is never waited for: it is set off."""
    foreign = claim.debtor != claim.company
    return claim.amount_fen < 0 and foreign and terms[claim.debtor].carry_negative


def _positions(claims: Iterable[Claim]) -> list[Position]:
    """Of every party, sorted by party and currency."""
    owed: defaultdict[tuple[str, str], int] = defaultdict(int)
    owes: defaultdict[tuple[str, str], int] = defaultdict(int)
    for claim in claims:
        owed[claim.party, claim.currency] += claim.amount_fen
        owes[claim.debtor, claim.currency] += claim.amount_fen
    return [Position(*key, owed[key], owes[key]) for key in sorted(owed.keys() | owes.keys())]


def _payments(
    inputs: RunInputs, netted: list[Claim], positions: list[Position]
) -> Iterable[Payment]:
    """Largest debts against largest claims: at most one payment less than there are parties."""
    claims = {each.party: each for each in netted}
    sources: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for each in netted:
        sources[each.party, each.currency].update(each.sources)
    for currency, same in groupby(sorted(positions, key=_by_currency), key=_by_currency):
        for payer, party, amount in _matched(list(same)):
            # A company that is owed for its issuing alone is nobody's party.
            claim = claims.get(party)
            yield Payment(
                id=derived_id("instruction", inputs.run, payer, party, currency),
                payer=payer,
                party=party,
                store=None if claim is None or claim.store != party else party,
                company=party if claim is None else claim.company,
                currency=currency,
                amount_fen=amount,
                carried=amount < _minimum(inputs.terms, payer),
                sources=tuple(sorted(sources[party, currency])),
            )


def _by_currency(position: Position) -> str:
    return position.currency


def _minimum(terms: Mapping[str, Terms], payer: str) -> int:
    """By the payer's own terms, also where it answers for its stores alone."""
    return terms[payer].minimum_fen if payer in terms else 0


def _matched(positions: list[Position]) -> Iterable[tuple[str, str, int]]:
    """Payer, payee, fen. Of equal amounts the smaller id comes first."""
    debts = deque(sorted((p.net_fen, p.party) for p in positions if p.net_fen < 0))
    claims = deque(sorted((-p.net_fen, p.party) for p in positions if p.net_fen > 0))
    while debts:
        (owes, payer), (owed, payee) = debts.popleft(), claims.popleft()
        amount = min(-owes, -owed)
        yield payer, payee, amount
        if owes + amount:
            debts.appendleft((owes + amount, payer))
        if owed + amount:
            claims.appendleft((owed + amount, payee))
