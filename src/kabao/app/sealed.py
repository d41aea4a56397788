"""Every column of sealed values, of all slices: what a rotation of keys walks."""

from __future__ import annotations

from kabao.access.model import REWRAP_TARGETS as ACCESS
from kabao.cards.model import CARD_KEY_USES
from kabao.cards.model import REWRAP_TARGETS as CARDS
from kabao.clearing.model.accounts import REWRAP_TARGETS as CLEARING
from kabao.customers.model import REWRAP_TARGETS as CUSTOMERS
from kabao.edges.iso8583.model import REWRAP_TARGETS as POS
from kabao.funding.model.collections import REWRAP_TARGETS as FUNDING
from kabao.merchants.model import REWRAP_TARGETS as MERCHANTS
from kabao.notices.model import REWRAP_TARGETS as NOTICES
from kabao.paycodes.model import REWRAP_TARGETS as PAYCODES
from kabao.proofs.model import REWRAP_TARGETS as PROOFS
from kabao.vault.model import CardKeyUse, RewrapTarget

SEALED: tuple[RewrapTarget, ...] = (
    *ACCESS,
    *PROOFS,
    *MERCHANTS,
    *CUSTOMERS,
    *CARDS,
    *PAYCODES,
    *FUNDING,
    *CLEARING,
    *POS,
    *NOTICES,
)
"""Not among them is `base.idempotency.body`: what is sealed there is a one-time
secret that is gone after a day, so a version is only retired later.
"""

CARD_KEYS: tuple[CardKeyUse, ...] = CARD_KEY_USES
"""Where cards say under which master key their value was made."""
