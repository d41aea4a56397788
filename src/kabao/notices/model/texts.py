"""Texts to holders: for which event of which programme, in whose words, and whether to send."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from string import Formatter
from typing import Any

import msgspec

from kabao.base.errors import INVALID, Kind, code
from kabao.customers.model import Consent, ConsentKind
from kabao.notices.model.events import HIDDEN
from kabao.policy import names
from kabao.policy.model import Rules

TEMPLATE_THERE = code(
    "notice_template_there", Kind.CONFLICT, "This event of the programme has a template already."
)
TEMPLATE_RETIRED = code(
    "notice_template_retired", Kind.CONFLICT, "The notice template is retired already."
)

MAX_TEXT = 300
MAX_FIELD = 20
"""Characters of a field, as WeChat takes them."""
FIELDS = frozenset({"amount", "balance", "last4", "store", "time"})
"""What a text may tell: yuan, the last digits of the number, the store's name, the hour."""
NOUNS_WITH_CARD = frozenset({"card", "payment", "topup", "refund"})
_SIGNED = re.compile(r"【[^【】\s]{2,12}】")
_FIELD = re.compile(r"[a-z_]{1,24}[0-9]{0,2}")
_KIND = re.compile(r"([a-z_]+)\.[a-z_]+")


class Language(StrEnum):
    """What is sent: Chinese, English, or one after the other."""

    ZH = "zh"
    EN = "en"
    BOTH = "both"


class Medium(StrEnum):
    """How it reaches the holder."""

    SMS = "sms"
    WECHAT = "wechat"  # a template message of the official account the holder follows


class Purpose(StrEnum):
    """Why a text is sent, which decides about the consent it needs (PIPL arts 13, 14)."""

    SERVICE = "service"  # part of what the holder bought; not after privacy was withdrawn
    MARKETING = "marketing"  # only with a standing consent to it


class TextState(StrEnum):
    """What became of a text."""

    WAITING = "waiting"
    SENT = "sent"  # the gateway took it
    DROPPED = "dropped"  # not to be sent: see the reason
    REFUSED = "refused"  # the gateway would not
    UNKNOWN = "unknown"  # it may have gone out: it is not sent again


class Drop(StrEnum):
    """Why a text was not sent."""

    NO_HOLDER = "no_holder"
    NO_PHONE = "no_phone"
    NO_FOLLOWER = "no_follower"
    NO_CONSENT = "no_consent"
    TOO_MANY = "too_many"
    TOO_OLD = "too_old"
    NO_GATEWAY = "no_gateway"


class NewTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for.

    For phones: texts, which begin with the signature the gateway knows, 【…】. For
    WeChat: the id of a template of the official account, and what stands in each of
    its fields.
    """

    programme: str
    event_type: str
    medium: Medium
    purpose: Purpose
    language: Language = Language.ZH
    text_zh: str = ""
    text_en: str = ""
    wechat_template: str = ""
    fields: Mapping[str, str] = {}

    def check(self) -> None:
        """Raises `invalid` for an event that is no card's, or a text with other fields."""
        found = _KIND.fullmatch(self.event_type)
        if found is None or found[1] not in NOUNS_WITH_CARD or self.event_type in HIDDEN:
            raise INVALID.error("Texts go out for events of cards.", field="event_type")
        if self.medium is Medium.WECHAT:
            self._check_fields()
        else:
            self._check_texts()

    def _check_fields(self) -> None:
        if not self.wechat_template or not self.fields or self.text_zh or self.text_en:
            raise INVALID.error("A template of WeChat's has an id and fields.", field="fields")
        for name, text in self.fields.items():
            if not _FIELD.fullmatch(name):
                raise INVALID.error("Fields are called like thing1.", field="fields")
            _check_form(text, "fields")

    def _check_texts(self) -> None:
        if self.wechat_template or self.fields:
            raise INVALID.error("A text to a phone has no fields.", field="fields")
        wanted = {
            Language.ZH: ("text_zh",),
            Language.EN: ("text_en",),
            Language.BOTH: ("text_zh", "text_en"),
        }[self.language]
        for field in ("text_zh", "text_en"):
            text = getattr(self, field)
            if text or field in wanted:
                _check_text(text, field)


def _check_text(text: str, field: str) -> None:
    if not _SIGNED.match(text):
        raise INVALID.error("A text begins with the sender's signature: 【…】.", field=field)
    _check_form(text, field)


def _check_form(text: str, field: str) -> None:
    try:
        used = {name for _, name, form, _ in Formatter().parse(text) if name is not None}
        forms = [
            form for _, name, form, conversion in Formatter().parse(text) if form or conversion
        ]
    except ValueError:
        raise INVALID.error("A brace is open.", field=field) from None
    if forms or not used <= FIELDS:
        told = ", ".join(sorted(FIELDS))
        raise INVALID.error(f"A text may tell: {told}.", field=field)


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template as stored; it is never changed, only retired and succeeded."""

    id: str
    programme: str
    company: str
    event_type: str
    medium: Medium
    purpose: Purpose
    language: Language
    text_zh: str
    text_en: str
    wechat_template: str
    fields: dict[str, str]
    created_at: datetime
    retired_at: datetime | None

    def words(self, values: Mapping[str, str]) -> str:
        """What the phone shows."""
        texts = {
            Language.ZH: [self.text_zh],
            Language.EN: [self.text_en],
            Language.BOTH: [self.text_zh, _SIGNED.sub("", self.text_en, count=1)],
        }[self.language]
        return "\n".join(text.format_map(values) for text in texts)

    def filled(self, values: Mapping[str, str]) -> dict[str, str]:
        """What stands in the fields of a WeChat message, none longer than WeChat takes."""
        return {name: text.format_map(values)[:MAX_FIELD] for name, text in self.fields.items()}


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text as stored: neither whose phone nor its words, which are made when it is sent."""

    id: str
    template: str
    event: str
    card: str
    data: dict[str, Any]
    occurred_at: datetime
    state: TextState
    reason: str | None
    attempts: int
    next_at: datetime
    created_at: datetime
    ended_at: datetime | None


class Limits(msgspec.Struct, frozen=True):
    """What policy says of texts."""

    per_day: int
    attempts: int
    oldest: timedelta
    kept: timedelta

    @classmethod
    def of(cls, rules: Rules) -> Limits:
        """Take them from resolved rules."""
        return cls(
            per_day=rules.int(names.NOTICE_SMS_PER_DAY_COUNT),
            attempts=rules.int(names.NOTICE_ATTEMPTS_MAX_COUNT),
            oldest=timedelta(hours=rules.int(names.NOTICE_OLDEST_HOURS)),
            kept=timedelta(days=rules.int(names.NOTICE_KEPT_DAYS)),
        )


def may_tell(purpose: Purpose, consents: Collection[Consent]) -> bool:
    """Whether the holder's consents allow a text (PIPL arts 13 to 16; CR-81).

    What belongs to the card is told unless consent to the processing was given
    and taken back; anything else only with a consent of its own that stands.
    """
    standing = {consent.kind for consent in consents if consent.stands}
    if purpose is Purpose.MARKETING:
        return ConsentKind.MARKETING in standing
    given = {consent.kind for consent in consents}
    return ConsentKind.PRIVACY not in given or ConsentKind.PRIVACY in standing


def yuan(fen: Any) -> str:
    """`1234` to `12.34`; what is no amount is a dash."""
    if not isinstance(fen, int):
        return "-"
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"
