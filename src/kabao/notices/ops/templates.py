"""Templates of texts, for the people who write them."""

from __future__ import annotations

from typing import Any

from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids
from kabao.base.web.principal import Principal
from kabao.cards.ops import Cards
from kabao.customers.ops import Customers
from kabao.notices.model.texts import (
    TEMPLATE_RETIRED,
    TEMPLATE_THERE,
    NewTemplate,
    Template,
    TextState,
)
from kabao.notices.sql import texts as sql
from kabao.vault.ops import Vault

TEMPLATE, TEXT = "ntp", "txt"
FOLLOWER = "notices.follower"


class Templates:
    """What holders are told, and what they were. For keys that cover the issuer."""

    def __init__(
        self, cards: Cards, customers: Customers, vault: Vault, ids: Ids, clock: Clock
    ) -> None:
        self._cards, self._customers, self._vault = cards, customers, vault
        self._ids, self._clock = ids, clock

    async def add(self, conn: Conn, principal: Principal, new: NewTemplate) -> Template:
        """From now on an event of the programme's cards is told to their holders.

        Raises `invalid`, `not_found` (programme), `notice_template_there`.
        """
        programme = await self._cards.find_programme(conn, new.programme)
        if not principal.covers(programme.issuer):
            raise NOT_FOUND.error("There is no such programme.", field="programme")
        new.check()
        template = Template(
            id=self._ids.new(),
            programme=programme.id,
            company=programme.issuer,
            event_type=new.event_type,
            medium=new.medium,
            purpose=new.purpose,
            language=new.language,
            text_zh=new.text_zh,
            text_en=new.text_en,
            wechat_template=new.wechat_template,
            fields=dict(new.fields),
            created_at=now(self._clock),
            retired_at=None,
        )
        if not await sql.insert_template(conn, template):
            raise TEMPLATE_THERE.error(field="event_type")
        return template

    async def retire(self, conn: Conn, principal: Principal, ident: str) -> Template:
        """Tell that event no more. Raises `not_found`, `notice_template_retired`."""
        await self.get(conn, principal, ident)
        if not await sql.retire(conn, ident, now(self._clock)):
            raise TEMPLATE_RETIRED.error()
        return await self.get(conn, principal, ident)

    async def get(self, conn: Conn, principal: Principal, ident: str) -> Template:
        """A template of an issuer the key covers. Raises `not_found`."""
        found = await sql.template(conn, ident)
        if found is None or not principal.covers(found.company):
            raise NOT_FOUND.error("There is no such notice template.")
        return found

    async def search(
        self,
        conn: Conn,
        principal: Principal,
        *,
        programme: str | None,
        before: str | None,
        limit: int,
    ) -> list[Template]:
        """Templates, newest first; none for a key of certain stores."""
        if principal.stores is not None:
            return []
        return await sql.templates(
            conn, companies=principal.companies, programme=programme, before=before, limit=limit
        )

    async def follow(self, conn: Conn, principal: Principal, customer: str, openid: str) -> None:
        """A customer follows the official account under this id. Raises `not_found`."""
        await self._check_customer(conn, principal, customer)
        sealed = self._vault.encrypt(FOLLOWER, "openid", customer, openid.encode())
        await sql.put_follower(conn, customer, sealed, now(self._clock))

    async def unfollow(self, conn: Conn, principal: Principal, customer: str) -> None:
        """Forget under which id. Raises `not_found`."""
        await self._check_customer(conn, principal, customer)
        if not await sql.drop_follower(conn, customer):
            raise NOT_FOUND.error("This customer follows nobody.")

    async def _check_customer(self, conn: Conn, principal: Principal, customer: str) -> None:
        if not principal.covers(await self._customers.company_of(conn, customer)):
            raise NOT_FOUND.error("There is no such customer.")

    async def texts(
        self,
        conn: Conn,
        principal: Principal,
        *,
        card: str | None,
        state: TextState | None,
        before: str | None,
        limit: int,
    ) -> list[dict[str, Any]]:
        """What was sent or not, newest first: never to which phone, never the words."""
        if principal.stores is not None:
            return []
        return await sql.texts(
            conn, companies=principal.companies, card=card, state=state, before=before, limit=limit
        )
