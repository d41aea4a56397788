"""Channels as rows: what they are for, what they cost, within which limits. Amounts in fen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import msgspec

from kabao.base.errors import INVALID, Kind, code
from kabao.funding.model.answers import Scene

CHANNEL, OFFER = "chn", "cho"
"""Prefixes at the edge."""

CHANNEL_NAME_TAKEN = code(
    "channel_name_taken", Kind.CONFLICT, "The company has another channel of this name."
)
CHANNEL_KIND_UNKNOWN = code(
    "channel_kind_unknown", Kind.INVALID, "There is no adapter for channels of this kind."
)
CHANNEL_ACCOUNT_UNUSABLE = code(
    "channel_account_unusable", Kind.INVALID, "The account lacks something or has a bad key."
)
CHANNEL_OFFER_GONE = code(
    "channel_offer_gone", Kind.CONFLICT, "The account that was asked for is not kept any more."
)

NO_PUBLIC_URL = code(
    "public_url_missing",
    Kind.REFUSED,
    "Channels could not notify us: KABAO_PUBLIC_URL is not an address they reach.",
)

SHOWN = frozenset(
    {
        "account",
        "app_id",
        "bank_name",
        "bank_no",
        "cert_id",
        "files",
        "holder",
        "mch_id",
        "mer_id",
        "merchant",
        "prefix",
        "product",
        "seller_id",
        "serial",
        "serial_no",
        "url",
        "wechat_key_id",
    }
)
"""What of an account a second person is shown: whose it is and where it is reached. No keys."""


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account that waits for the second person, as an approval names it."""

    id: str
    shown: dict[str, str]
    digest: str
    """Hex, keyed, of the whole account: what is agreed to is what was asked for."""


def shown(account: Mapping[str, Any]) -> dict[str, str]:
    """What of an account is no secret, for the second person."""
    return {name: str(account[name])[:255] for name in sorted(SHOWN & account.keys())}


def reaches_us(notify_base: str, account: Mapping[str, Any]) -> bool:
    """Whether a channel can send to our address: anywhere but on this machine, or it is on this
    machine itself, as the sandbox is. An account without `url` is of the real party.
    """
    return not _is_here(notify_base) or _is_here(str(account.get("url", "")))


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        found = ip_address(host)
    except ValueError:
        return host == "localhost"
    return found.is_loopback or found.is_unspecified


class ChannelState(StrEnum):
    """Whether a channel is given new orders. Paused, it still finishes what it has."""

    ACTIVE = "active"
    PAUSED = "paused"


class Cycle(StrEnum):
    """When the money of a day arrives (T-09 to T-11)."""

    REAL_TIME = "T+0"
    NEXT_DAY = "T+1"
    THREE_DAYS = "D+3"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel is for, what it costs and how much it takes."""

    name: str
    kind: str
    """Which adapter speaks with it."""
    scenes: tuple[Scene, ...]
    purposes: tuple[str, ...] = ()
    """Empty: any."""
    fee_ppm: int = 0
    """Millionths of the amount."""
    fee_min_fen: int = 0
    fee_max_fen: int | None = None
    cycle: Cycle = Cycle.NEXT_DAY
    min_fen: int = 1
    max_fen: int | None = None
    daily_fen: int | None = None
    """The most in one business day; None: no limit."""
    priority: int = 100
    """Lower comes first where nothing else decides."""

    def checked(self) -> Terms:
        """Itself. Raises `invalid` for limits or fees that cannot be."""
        if self.max_fen is not None and self.max_fen < self.min_fen:
            raise INVALID.error("The most is less than the least.", field="max")
        if self.fee_max_fen is not None and self.fee_max_fen < self.fee_min_fen:
            raise INVALID.error("The most is less than the least.", field="fee_max")
        return self


class Channel(Terms, frozen=True, kw_only=True):
    """A company's account at somebody who takes money."""

    id: str
    company: str
    state: ChannelState
    revision: int
    created_at: datetime

    @property
    def active(self) -> bool:
        """Whether it is given new orders."""
        return self.state is ChannelState.ACTIVE

    def serves(self, purpose: str, scene: Scene) -> bool:
        """Whether it is for that at all."""
        return scene in self.scenes and (not self.purposes or purpose in self.purposes)

    def called(self, name: str) -> bool:
        """Whether a request that names a channel means this one."""
        return name in (self.name, self.kind)


class ChannelConfig(msgspec.Struct, frozen=True):
    """What an adapter is made from: the row, and the account, which is a secret."""

    channel: Channel
    account: Mapping[str, Any]
    age_s: int
    """The oldest a notification may be where its moment of sending is signed (policy)."""

    def __repr__(self) -> str:
        return f"ChannelConfig({self.channel.id})"
