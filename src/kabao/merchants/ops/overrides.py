"""Cashiers' PINs, and what a supervisor's lets a cashier do."""

from __future__ import annotations

import secrets
from datetime import timedelta
from hmac import compare_digest

from kabao.access.model import Deed, Origin
from kabao.access.ops.log import NOBODY, AuditLog
from kabao.base.clock import US_PER_S, BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids, to_edge
from kabao.base.web.principal import Principal
from kabao.merchants.model import (
    CASHIER_NOT_ACTIVE,
    OVERRIDE_NEEDED,
    OVERRIDE_NOT_VALID,
    OVERRIDE_REFUSED,
    Alone,
    Cashier,
    CashierPin,
    CashierRole,
    Override,
    OverrideAsk,
    OverrideRules,
    OverrideVerb,
    Shift,
)
from kabao.merchants.sql import overrides as sql
from kabao.merchants.sql import tills
from kabao.org.ops import Org
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import Policy
from kabao.vault.ops import Vault

_NO_SALT = _NO_MAC = bytes(16)


class Overrides:
    """What a supervisor allows at a till, the same for every door.

    A try must count even when what it was for is refused, and an override must
    be used up before money moves: `grant`, `require` and `use` have transactions
    of their own and take connections of the pool. Never call them inside one.
    """

    def __init__(
        self,
        db: Database,
        vault: Vault,
        policy: Policy,
        org: Org,
        log: AuditLog,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._vault, self._policy, self._org = db, vault, policy, org
        self._log, self._ids, self._clock, self._days = log, ids, clock, days

    def rules(self) -> OverrideRules:
        """What holds today."""
        rules = self._rules()
        return OverrideRules(
            verbs=frozenset(rules.texts(names.TILL_OVERRIDE_VERBS)),
            refund_from_fen=rules.int(names.TILL_OVERRIDE_REFUND_FROM_FEN),
            void_after_us=rules.int(names.TILL_OVERRIDE_VOID_AFTER_MINUTES) * 60 * US_PER_S,
            drop_from_fen=rules.int(names.TILL_OVERRIDE_DROP_FROM_FEN),
            drop_row=rules.row(names.TILL_OVERRIDE_DROP_FROM_FEN),
            paid_out_from_fen=rules.int(names.TILL_OVERRIDE_PAID_OUT_FROM_FEN),
            valid_s=rules.int(names.TILL_OVERRIDE_VALID_SECONDS),
            verbs_row=rules.row(names.TILL_OVERRIDE_VERBS),
            refund_row=rules.row(names.TILL_OVERRIDE_REFUND_FROM_FEN),
            void_row=rules.row(names.TILL_OVERRIDE_VOID_AFTER_MINUTES),
            paid_out_row=rules.row(names.TILL_OVERRIDE_PAID_OUT_FROM_FEN),
        )

    async def draw_pin(self, conn: Conn, cashier_id: str) -> str:
        """A new PIN for a cashier, to be shown once. Raises `not_found`, `cashier_not_active`."""
        cashier = await tills.cashier(conn, cashier_id)
        if cashier is None:
            raise NOT_FOUND.error("There is no such cashier.")
        if not cashier.is_active:
            raise CASHIER_NOT_ACTIVE.error()
        digits = self._rules().int(names.PIN_LENGTH_DIGITS)
        pin, salt = f"{secrets.randbelow(10**digits):0{digits}d}", secrets.token_bytes(16)
        mac = self._vault.pin_mac(pin, salt)
        await sql.put_pin(conn, CashierPin(cashier_id, salt, mac, 0, None, now(self._clock)))
        return pin

    async def grant(
        self,
        ask: OverrideAsk,
        supervisor: str,
        pin: str,
        *,
        by: Principal | None = None,
        origin: Origin = NOBODY,
    ) -> Override:
        """A supervisor of the store, another person than the cashier, allows what is asked.

        Both are written into the audit log. `by` is the key it came with; None
        at the POS door, where the terminal is known by its own.

        Raises:
            KabaoError: `override_refused`, the same for an unknown supervisor,
                a cashier who is none, a wrong PIN and a locked one.
        """
        async with self._db.transaction() as conn:
            allowed = await self._judge(conn, ask, supervisor, pin)
            if allowed is not None:
                await sql.insert_override(conn, allowed)
                await self._note(conn, allowed, by, origin)
        if allowed is None:
            raise OVERRIDE_REFUSED.error(rule=self._rules().row(names.PIN_TRIES_COUNT))
        return allowed

    async def require(
        self,
        ask: OverrideAsk,
        override: str | None,
        *,
        key: str,
        made_us: int | None = None,
        before_fen: int = 0,
    ) -> Alone | None:
        """Let a cashier go on where policy wants a supervisor only with an override, used up here.

        Returns what the cashier may give back alone if nobody was needed, to be
        judged once more under the lock; None once a supervisor has allowed it.

        Args:
            ask: what is about to happen.
            override: the id of the override that came with the request, if one did.
            key: names the request among those of all companies: its repetition may
                use the same override.
            made_us: when the payment was made that is to be undone.
            before_fen: what was given back of it before, judged together with
                what is asked: else it would be done in pieces.

        Raises:
            KabaoError: `override_needed` with its row, `override_not_valid`.
        """
        rules, now_us = self.rules(), self._clock.now_us()
        amount_fen, age_us = before_fen + ask.amount_fen, now_us - (made_us or now_us)
        row = rules.refusal(ask.verb, amount_fen, age_us)
        if row is None:
            return rules.alone
        await self.use(ask, override, key=key, row=row)
        return None

    async def at_drawer(
        self,
        shift: Shift,
        verb: OverrideVerb,
        amounts_fen: tuple[int, int],
        override: str | None,
        *,
        key: str,
    ) -> str | None:
        """Who lets a cashier take cash out of the drawer, or sees it; None where nobody is
        needed, which is judged once more under the shift's lock.

        `amounts_fen`: what the shift took out without anybody before, and what it takes now.
        Raises `override_needed`, `override_not_valid`.
        """
        row = self.rules().refusal(verb, sum(amounts_fen), 0)
        if row is None:
            return None
        ask = OverrideAsk(
            verb=verb,
            store=shift.store,
            cashier=shift.cashier,
            subject=to_edge("shf", shift.id),
            amount_fen=amounts_fen[1],
        )
        return await self.use(ask, override, key=key, row=row)

    async def use(self, ask: OverrideAsk, override: str | None, *, key: str, row: str) -> str:
        """Use an override up for what takes one by the rule of `row`. Returns the supervisor.

        Raises `override_needed`, `override_not_valid`.
        """
        if override is None:
            raise OVERRIDE_NEEDED.error(rule=row, field="override")
        async with self._db.transaction() as conn:
            supervisor = await sql.use(conn, override, ask, key, now(self._clock))
        if supervisor is None:
            raise OVERRIDE_NOT_VALID.error(rule=row, field="override")
        return supervisor

    async def _judge(
        self, conn: Conn, ask: OverrideAsk, supervisor: str, pin: str
    ) -> Override | None:
        """The override, or None; a wrong PIN is counted either way."""
        rules, at = self._rules(), now(self._clock)
        person = await tills.cashier(conn, supervisor)
        kept = await sql.lock_pin(conn, supervisor)
        salt, mac = (kept.salt, kept.mac) if kept else (_NO_SALT, _NO_MAC)
        right = compare_digest(self._vault.pin_mac(pin, salt), mac)
        if kept is None or kept.locked(at):
            return None
        if not right:
            tries, until = kept.tries + 1, None
            if tries >= rules.int(names.PIN_TRIES_COUNT):
                tries, until = 0, at + timedelta(minutes=rules.int(names.PIN_LOCK_MINUTES))
            await sql.count_tries(conn, supervisor, tries, until)
            return None
        await sql.count_tries(conn, supervisor, 0, None)
        if person is None or not _may_allow(person, ask):
            return None
        expires_at = at + timedelta(seconds=rules.int(names.TILL_OVERRIDE_VALID_SECONDS))
        return Override(
            id=self._ids.new(),
            verb=ask.verb,
            store=ask.store,
            cashier=ask.cashier,
            subject=ask.subject,
            amount_fen=ask.amount_fen,
            supervisor=supervisor,
            created_at=at,
            expires_at=expires_at,
        )

    async def _note(
        self, conn: Conn, allowed: Override, by: Principal | None, origin: Origin
    ) -> None:
        store = self._org.store(allowed.store)
        cashier, supervisor = to_edge("csh", allowed.cashier), to_edge("csh", allowed.supervisor)
        deed = Deed(
            verb=f"override:{allowed.verb}",
            subject=allowed.subject,
            reason=f"asked by {cashier}, allowed by {supervisor}",
            company=store.company if store else None,
        )
        if by is not None:
            await self._log.write(conn, by, deed, origin)
        else:
            await self._log.append(
                conn, deed, actor=None, via=None, company=deed.company, origin=origin
            )

    def _rules(self) -> Rules:
        on = self._days.of(self._clock.now_us())
        return self._policy.rules(jurisdiction="national", on=on)


def _may_allow(person: Cashier, ask: OverrideAsk) -> bool:
    """A supervisor who works in the store, and is not the one who asks; any other cashier of
    the store may be a witness.
    """
    return (
        (person.role is CashierRole.SUPERVISOR or ask.verb is OverrideVerb.DROP)
        and person.is_active
        and person.store == ask.store
        and person.id != ask.cashier
    )
