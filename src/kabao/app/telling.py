"""What tells the outside: endpoints, the relay from the outbox, the sender."""

from __future__ import annotations

from secrets import SystemRandom
from typing import TYPE_CHECKING

from kabao.adapters.sms.yunpian import YUNPIAN, Yunpian
from kabao.adapters.webhooks.courier import HttpCourier
from kabao.adapters.wechat_templates.messages import WECHAT, TemplateMessages
from kabao.app.channels import Lines
from kabao.app.settings import Settings
from kabao.base.clock import Clock
from kabao.base.jobs import Jobs
from kabao.base.web.metrics import Counts, Level, Levels
from kabao.notices.jobs import register
from kabao.notices.ops import Backlog, Endpoints, Reading, Relay, Sender, Templates, Texter, Whose

if TYPE_CHECKING:
    from kabao.app.composition import Kabao


class Telling:
    """Notices, wired."""

    def __init__(self, kabao: Kabao) -> None:
        """Build it on what `Kabao` has built so far."""
        self._lines = Lines()
        private = kabao.settings.webhooks_private
        db, ids, clock, vault = kabao.db, kabao.ids, kabao.clock, kabao.vault
        self.endpoints = Endpoints(vault, kabao.policy, ids, clock, kabao.days, private=private)
        whose = Whose(kabao.ledger, kabao.org, kabao.cards)
        self.backlog = Backlog(db, clock)
        self.relay = Relay(db, whose, kabao.cases, ids, clock)
        self.reading = Reading(whose, kabao.cards, self.endpoints, clock)
        self._courier = HttpCourier(private=private)
        self.templates = Templates(kabao.cards, kabao.customers, vault, ids, clock)
        self.texter = Texter(
            db,
            self._phones(kabao.settings),
            self._followers(kabao.settings, clock),
            vault,
            kabao.proofs,
            kabao.sms,
            kabao.cards,
            kabao.customers,
            kabao.org,
            kabao.policy,
            clock,
            kabao.days,
        )
        chance = SystemRandom().random
        self.sender = Sender(
            db, self._courier, self.endpoints, kabao.cases, vault, ids, clock, chance
        )

    def _phones(self, settings: Settings) -> Yunpian | None:
        """The SMS gateway, if there is a key for one."""
        if settings.sms_key is None:
            return None
        account = {} if settings.sms_url is None else {"url": settings.sms_url}
        return Yunpian(self._lines.to(account, "url", YUNPIAN), settings.sms_key)

    def _followers(self, settings: Settings, clock: Clock) -> TemplateMessages | None:
        """The official account, if there is one."""
        if settings.wechat_app_id is None or settings.wechat_app_secret is None:
            return None
        account = {} if settings.wechat_url is None else {"url": settings.wechat_url}
        line = self._lines.to(account, "url", WECHAT)
        return TemplateMessages(line, settings.wechat_app_id, settings.wechat_app_secret, clock)

    @property
    def figures(self) -> list[Counts | Level | Levels]:
        """What `/metrics` tells of it; the backlog as it was last looked at."""
        backlog = self.backlog
        return [
            self.sender.attempts,
            self.sender.dead,
            self.texter.handed,
            self.texter.dropped,
            Level("kabao_webhook_waiting", "Deliveries that wait.", lambda: backlog.deliveries),
            Level("kabao_texts_waiting", "Texts that wait.", lambda: backlog.texts),
            Levels(
                "kabao_events_lag_seconds",
                "How old the first event is that a reader of events has not read.",
                ("reader",),
                lambda: [((reader,), lag_s) for reader, lag_s in backlog.lags_s.items()],
            ),
        ]

    def add_jobs(self, jobs: Jobs) -> None:
        """What a worker does: relay, send, text, tidy up."""
        register(jobs, self.relay, self.sender, self.texter)

    async def stop(self) -> None:
        """Stop sending, and close what is open."""
        await self.sender.stop()
        await self._courier.close()
        await self._lines.close()
