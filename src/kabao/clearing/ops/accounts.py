"""Settlement accounts: proposed by one, agreed to by another, sealed throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from kabao.base.clock import US_PER_S, BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import Ids
from kabao.clearing.model.accounts import (
    ACCOUNT_DECIDED,
    ACCOUNT_NAME_DIFFERS,
    ACCOUNT_OF_ANOTHER,
    LAST_DIGITS,
    NAME_RULE,
    SEALED_AT,
    AccountState,
    Holder,
    SettlementAccount,
    holds,
)
from kabao.clearing.model.batches import Payee
from kabao.clearing.sql import accounts as sql
from kabao.org.ops import Org
from kabao.policy import names
from kabao.policy.ops import NATIONAL, Policy
from kabao.vault.ops import Vault

_encode, _decode = msgspec.json.encode, msgspec.json.Decoder(Holder).decode


class Accounts:
    """Where companies and stores are paid."""

    def __init__(
        self,
        db: Database,
        vault: Vault,
        policy: Policy,
        org: Org,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._vault, self._policy, self._org = db, vault, policy, org
        self._ids, self._clock, self._days = ids, clock, days

    async def propose(
        self, conn: Conn, company: str, store: str | None, payee: Payee, currency: str
    ) -> SettlementAccount:
        """Keep an account until a second person agrees.

        Raises `not_found`, `invalid` (the store is another company's), `account_of_another`,
        `account_name_differs` (CR-91).
        """
        if self._org.company(company) is None:
            raise NOT_FOUND.error("There is no such company.", field="company")
        parties = self._checked_names(company, store, payee)
        index = self._index(payee)
        if await sql.others_with(conn, index, company):
            raise ACCOUNT_OF_ANOTHER.error(rule=NAME_RULE, field="account")
        ident = self._ids.new()
        made = SettlementAccount(
            id=ident,
            company=company,
            store=store,
            currency=currency,
            bank=payee.bank,
            last_digits=payee.account[-LAST_DIGITS:],
            state=AccountState.PROPOSED,
            reason=None,
            created_at=now(self._clock),
        )
        holder = Holder(payee.name, payee.account, payee.bank, parties)
        sealed = self._vault.encrypt(*SEALED_AT, ident, _encode(holder))
        await sql.insert(conn, made, sealed, index)
        return made

    async def agree(self, conn: Conn, ident: str) -> SettlementAccount:
        """From now on its party is paid there, and nowhere else.

        Raises `account_decided` if it is gone or was decided about, `account_of_another`,
        `account_name_differs` if its party was renamed since it was asked for.
        """
        found = await sql.get(conn, ident, lock=True)
        if found is None or found.state is not AccountState.PROPOSED:
            raise ACCOUNT_DECIDED.error(rule="ATK-11")
        holder = self._open(ident, (await sql.holders(conn, [ident]))[ident])
        if not holder.is_of(self.names(found.company, found.store)):
            raise ACCOUNT_NAME_DIFFERS.error("Its party has another name now.", rule=NAME_RULE)
        index = self._index(holder)
        await sql.hold_number(conn, index)
        if await sql.others_with(conn, index, found.company):
            raise ACCOUNT_OF_ANOTHER.error(rule=NAME_RULE)
        await sql.replace_active(conn, found)
        await sql.set_state(conn, ident, AccountState.ACTIVE)
        return msgspec.structs.replace(found, state=AccountState.ACTIVE)

    async def broken(self, conn: Conn, ident: str, reason: str) -> None:
        """Its bank sent money back: nothing more goes there. One that was replaced stays so."""
        found = await sql.get(conn, ident, lock=True)
        if found is not None and found.state is AccountState.ACTIVE:
            await sql.set_state(conn, ident, AccountState.BROKEN, reason=reason)

    async def find(self, conn: Conn, ident: str) -> SettlementAccount:
        """An account. Raises `not_found`."""
        found = await sql.get(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such settlement account.")
        return found

    async def search(
        self, conn: Conn, companies: Sequence[str] | None, *, after: str | None, limit: int
    ) -> list[SettlementAccount]:
        """Accounts, newest first; `companies` None: of every company."""
        return await sql.search(conn, companies, after, limit)

    async def stores_with_own(self, conn: Conn, currency: str) -> frozenset[str]:
        """The stores that are paid themselves, and not through their companies."""
        return frozenset(await sql.stores_with_own(conn, currency))

    async def payable(
        self, conn: Conn, parties: Sequence[str], currency: str
    ) -> dict[str, SettlementAccount]:
        """By party, where its name is still the one that two persons agreed to (CR-91)."""
        found = await sql.active_of(conn, parties, currency)
        return {one.party: one for one, sealed in found if self._is_in_name(one, sealed)}

    async def usable(self, conn: Conn, idents: Sequence[str]) -> frozenset[str]:
        """Those of these accounts that may be paid to; none is replaced before the commit."""
        found = await sql.active_among(conn, idents)
        return frozenset(one.id for one, sealed in found if self._is_in_name(one, sealed))

    async def payees(self, conn: Conn, idents: Sequence[str]) -> Mapping[str, Payee]:
        """Accounts as a bank must be told them, by id."""
        sealed = await sql.holders(conn, idents)
        return {ident: self._open(ident, found) for ident, found in sealed.items()}

    def names(self, company: str, store: str | None) -> tuple[str, ...]:
        """What a party is called now: its company's name, and the store's if it is one."""
        parties = [self._org.company(company), None if store is None else self._org.store(store)]
        return tuple(party.name for party in parties if party is not None)

    async def forget_proposals(self) -> int:
        """Drop what nobody agreed to in time; for a tick. Gives how many."""
        now_us = self._clock.now_us()
        rules = self._policy.rules(jurisdiction=NATIONAL, on=self._days.of(now_us))
        valid_us = rules.int(names.APPROVAL_VALID_HOURS) * 3_600 * US_PER_S
        async with self._db.transaction() as conn:
            return await sql.forget(conn, now_us - valid_us)

    def _checked_names(self, company: str, store: str | None, payee: Payee) -> tuple[str, ...]:
        found = None if store is None else self._org.store(store)
        if store is not None and (found is None or found.company != company):
            raise INVALID.error("The store is not this company's.", field="store")
        parties = self.names(company, store)
        if not holds(payee, parties):
            raise ACCOUNT_NAME_DIFFERS.error(rule=NAME_RULE, field="name")
        return parties

    def _is_in_name(self, one: SettlementAccount, sealed: bytes) -> bool:
        return self._open(one.id, sealed).is_of(self.names(one.company, one.store))

    def _index(self, payee: Payee) -> bytes:
        return self._vault.blind_index("settlement_account", payee.account)

    def _open(self, ident: str, sealed: bytes) -> Holder:
        return _decode(self._vault.decrypt(*SEALED_AT, ident, sealed))
