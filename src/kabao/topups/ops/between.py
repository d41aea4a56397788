"""Top-ups paid with another card of the same holder (T-04)."""

from __future__ import annotations

from functools import partial

import msgspec

from kabao.base.db import Conn
from kabao.base.ids import Ids
from kabao.cards.limits import SECRET_NOT_ACCEPTED
from kabao.cards.model import CardRef, Proof, Resolved, Source
from kabao.cards.ops import Cards
from kabao.funding.model.collections import SOURCE_NOT_ALLOWED
from kabao.ledger.model import Act, Dimensions
from kabao.ledger.ops import Ledger
from kabao.policy.choices import Switch
from kabao.policy.ops import Policy
from kabao.topups import sql
from kabao.topups.model import Status, TopUp
from kabao.topups.model.between import CARD, Side, Terms, check_kin, give, take
from kabao.topups.model.topup import TOPUP_STOPPED
from kabao.topups.ops.terms import TermsOf, Wish


class NewBetween(msgspec.Struct, frozen=True, kw_only=True):
    """A top-up by another card, checked for form and scope; both secrets were judged before."""

    company: str
    paying: Source
    source: Source
    amount_fen: int
    currency: str
    store: str | None
    issuers: frozenset[str] | None
    """Whose cards the key may touch; None: everybody's."""
    reference: str | None


class Between:
    """Moves paid value from card to card."""

    def __init__(
        self, ledger: Ledger, cards: Cards, policy: Policy, terms: TermsOf, ids: Ids
    ) -> None:
        self._ledger, self._cards, self._policy = ledger, cards, policy
        self._terms, self._ids = terms, ids

    async def move_in(self, conn: Conn, new: NewBetween) -> TopUp:
        """Load one card with another's paid value, in the caller's transaction.

        Raises `secret_not_accepted`, `source_not_allowed`, `paying_card_stopped`,
        `paying_card_short`, `card_cannot_be_loaded`, `over_balance_limit`,
        `topup_day_limit`, `topup_stopped` and what else forbids a top-up.
        """
        if isinstance(new.paying, CardRef):
            raise SOURCE_NOT_ALLOWED.error(
                "The paying card shows its secret.", rule="CR-30", field="paying_card"
            )
        paying, card = await self._cards.resolve(conn, [new.paying, new.source])
        if paying is None or card is None or not _seen(new, paying) or not _seen(new, card):
            raise SECRET_NOT_ACCEPTED.error()
        if paying.proof != Proof.RIGHT:  # the same key again, with another secret
            raise SECRET_NOT_ACCEPTED.error()
        roots = await self._ledger.lock(conn, [paying.root, card.root])
        wish = Wish(new.amount_fen, new.store, CARD, None, face_to_face=True)
        offer = await self._terms.offer(conn, card, wish)
        assert offer is not None, "it is known"
        if offer.refused is not None:
            raise offer.refused
        self._running(paying)
        terms = Terms(
            topup=_draft(self._ids.new(), new, card, paying),
            giving=await self._side(conn, paying),
            taking=await self._side(conn, card),
            secret_version=paying.secret_version,
            out=self._ids.new(),
            insert=sql.insert_topups,
        )
        check_kin(terms, roots[paying.root], roots[card.root])
        dims = Dimensions(selling_store=new.store, channel=CARD)
        acts = [
            Act(
                company=new.company,
                operation=terms.out,
                root=paying.root,
                run=partial(give, terms),
                dims=dims,
            ),
            Act(
                company=new.company,
                operation=terms.topup.id,
                root=card.root,
                run=partial(take, terms),
                dims=dims,
            ),
        ]
        done: TopUp = (await self._ledger.post_in(conn, acts))[1]
        return done

    def _running(self, card: Resolved) -> None:
        rule = self._policy.switched_off(
            Switch.STOP_TRANSFER, programme=card.programme, company=card.issuer
        )
        if rule is not None:
            raise TOPUP_STOPPED.error(rule=rule)

    async def _side(self, conn: Conn, card: Resolved) -> Side:
        programme = await self._cards.find_programme(conn, card.programme)
        holder = await self._cards.holder(conn, card.card)
        rules = self._cards.rules_of(programme, self._terms.today)
        return Side(card.card, holder, programme.card_class, rules)


def _seen(new: NewBetween, card: Resolved) -> bool:
    return new.issuers is None or card.issuer in new.issuers


def _draft(ident: str, new: NewBetween, card: Resolved, paying: Resolved) -> TopUp:
    return TopUp(
        id=ident,
        company=new.company,
        root=card.root,
        card=card.card,
        last4=card.last4,
        store=new.store,
        terminal=None,
        cashier=None,
        shift=None,
        channel=CARD,
        reference=new.reference,
        amount_fen=new.amount_fen,
        currency=new.currency,
        status=Status.CONFIRMED,
        balance_after_fen=0,
        confirmed_by=None,
        created_us=0,
        day=0,
        paid_from=paying.card,
    )
