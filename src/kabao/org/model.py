"""Companies, stores, brand links, and the rule of acceptance."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum

import msgspec
from msgspec import UNSET, UnsetType

from kabao.base.errors import INVALID, Kind, code

STORE_OUTSIDE_GROUP = code(
    "store_outside_group",
    Kind.REFUSED,
    "This store belongs neither to the issuer's group nor to its brand.",
)
STORE_CLOSED = code("store_closed", Kind.REFUSED, "The store is closed.")
COMPANY_CLOSED = code("company_closed", Kind.REFUSED, "The company is closed.")
COMPANY_IN_USE = code(
    "company_in_use", Kind.CONFLICT, "The company still has open stores or open daughters."
)
CREDIT_CODE_INVALID = code(
    "credit_code_invalid", Kind.INVALID, "The unified social credit code is not a valid one."
)
PARENT_INVALID = code(
    "parent_invalid", Kind.INVALID, "A company cannot be above itself, or so deep in a group."
)
ORG_TAKEN = code("already_taken", Kind.CONFLICT, "Another company or store has this code.")
ISSUER_NOT_BRAND = code(
    "issuer_not_brand", Kind.REFUSED, "Only a brand issuer's cards are redeemed by franchisees."
)
LINK_OVERLAPS = code(
    "brand_link_overlaps", Kind.CONFLICT, "These two companies are linked in that time already."
)

ACCEPTANCE_RULE = "CX8"
"""Row that limits acceptance to the issuer's group or brand (ruling 11)."""

MAX_DEPTH = 16
"""Levels of a group. Deeper trees are taken for a mistake."""


class IssuerType(StrEnum):
    """What kind of issuer a company files as (Order 9 arts 2, 3; CR-02, CR-03)."""

    GROUP = "group"
    BRAND = "brand"
    SCALE = "scale"
    OTHER = "other"


class Jurisdiction(StrEnum):
    """Whose local rules hold on top of the national ones."""

    NATIONAL = "national"
    BEIJING = "beijing"
    SHANGHAI = "shanghai"


class Standing(StrEnum):
    """Whether a company or a store does business."""

    OPEN = "open"
    CLOSED = "closed"


class Company(msgspec.Struct, frozen=True):
    """A legal entity of the group graph."""

    id: str
    name: str
    issuer_type: IssuerType
    jurisdiction: Jurisdiction
    parent: str | None
    credit_code: str | None
    state: Standing
    created_at: datetime
    revision: int


class NewCompany(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a company when it enters the graph."""

    name: str
    issuer_type: IssuerType = IssuerType.OTHER
    jurisdiction: Jurisdiction = Jurisdiction.NATIONAL
    parent: str | None = None
    credit_code: str | None = None


class CompanyChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is unset stays."""

    name: str | UnsetType = UNSET
    issuer_type: IssuerType | UnsetType = UNSET
    jurisdiction: Jurisdiction | UnsetType = UNSET
    parent: str | UnsetType | None = UNSET
    credit_code: str | UnsetType | None = UNSET

    def applied_to(self, company: Company) -> Company:
        """The company as it will be."""
        asked = {
            name: getattr(self, name)
            for name in self.__struct_fields__
            if getattr(self, name) is not UNSET
        }
        return msgspec.structs.replace(company, **asked)


class Store(msgspec.Struct, frozen=True):
    """A place where one company sells and redeems cards."""

    id: str
    company: str
    name: str
    code: str
    region: str
    city: str
    merchant_no: str
    state: Standing
    created_at: datetime
    closed_at: datetime | None
    revision: int

    @property
    def is_open(self) -> bool:
        """Whether it does business."""
        return self.state is Standing.OPEN


class NewStore(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a store when it opens; without `merchant_no` it is allotted one."""

    company: str
    name: str
    code: str
    region: str = ""
    city: str = ""
    merchant_no: str | None = None


class StoreChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is unset stays. Company and numbers never change."""

    name: str | UnsetType = UNSET
    region: str | UnsetType = UNSET
    city: str | UnsetType = UNSET

    def applied_to(self, store: Store) -> Store:
        """The store as it will be."""
        return msgspec.structs.replace(
            store,
            name=store.name if self.name is UNSET else self.name,
            region=store.region if self.region is UNSET else self.region,
            city=store.city if self.city is UNSET else self.city,
        )


class BrandLink(msgspec.Struct, frozen=True):
    """`member` redeems the cards of `issuer` on the days `from_date` <= day < `until_date`."""

    id: str
    issuer: str
    member: str
    from_date: date
    until_date: date | None
    created_at: datetime
    revision: int

    def holds_on(self, day: date) -> bool:
        """Whether the link is in force on a day."""
        return self.from_date <= day and (self.until_date is None or day < self.until_date)

    def overlaps(self, from_date: date, until_date: date | None) -> bool:
        """Whether another link over these days would say the same twice."""
        if self.until_date == self.from_date:  # taken back before its first day
            return False
        starts_before_end = until_date is None or self.from_date < until_date
        ends_after_start = self.until_date is None or from_date < self.until_date
        return starts_before_end and ends_after_start


class GroupGraph:
    """Who redeems whose cards. Built once per change of the graph, then only read."""

    def __init__(self, companies: Iterable[Company], links: Iterable[BrandLink]) -> None:
        parents = {company.id: company.parent for company in companies}
        self._top = {company: _top(company, parents) for company in parents}
        self._links: defaultdict[tuple[str, str], list[BrandLink]] = defaultdict(list)
        for link in links:
            self._links[link.issuer, link.member].append(link)

    def top(self, company: str) -> str | None:
        """The company at the head of this one's group (itself, if it stands alone)."""
        return self._top.get(company)

    def accepts(self, issuer: str, acceptor: str, day: date) -> bool:
        """Whether the company `acceptor` redeems cards of the company `issuer` (ruling 11)."""
        top = self._top.get(issuer)
        if top is None:
            return False
        if self._top.get(acceptor) == top:
            return True
        linked = self._links.get((issuer, acceptor), ())
        return any(link.holds_on(day) for link in linked)


def _top(company: str, parents: Mapping[str, str | None]) -> str:
    """The head of a company's group."""
    for _ in range(MAX_DEPTH + 1):
        parent = parents.get(company)
        if parent is None:
            return company
        company = parent
    raise AssertionError("parents form a forest of bounded depth")


def check_parent(company: str, parent: str | None, parents: Mapping[str, str | None]) -> None:
    """Whether `company` may stand under `parent`, given everybody's parents.

    Raises:
        KabaoError: `parent_invalid` for a cycle or a group deeper than `MAX_DEPTH`.
    """
    above = 0
    step = parent
    while step is not None:
        above += 1
        if step == company or above >= MAX_DEPTH:
            raise PARENT_INVALID.error(field="parent")
        step = parents.get(step)
    if above + _height(company, parents) > MAX_DEPTH:
        raise PARENT_INVALID.error(field="parent")


def _height(company: str, parents: Mapping[str, str | None]) -> int:
    """Levels from a company down to its deepest descendant, itself included."""
    level, height = {company}, 0
    while level:
        height += 1
        level = {child for child, parent in parents.items() if parent in level}
    return height


_CREDIT_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_VALUE = {sign: value for value, sign in enumerate(_CREDIT_SIGNS)}
_CREDIT_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
CREDIT_CODE_LENGTH = 18


def is_credit_code(text: str) -> bool:
    """Whether an 18-character unified social credit code checks (GB 32100-2015, annex A)."""
    if len(text) != CREDIT_CODE_LENGTH or any(sign not in _CREDIT_VALUE for sign in text):
        return False
    total = sum(
        _CREDIT_VALUE[sign] * weight for sign, weight in zip(text, _CREDIT_WEIGHTS, strict=False)
    )
    return _CREDIT_VALUE[text[-1]] == -total % 31


def check_credit_code(text: str | None) -> None:
    """Raises `credit_code_invalid` unless there is none or it checks."""
    if text is not None and not is_credit_code(text):
        raise CREDIT_CODE_INVALID.error(rule="GB 32100", field="credit_code")


_STORE_CODE = re.compile(r"[0-9A-Za-z_-]{1,32}")
_MERCHANT_NO = re.compile(r"[0-9A-Z]{15}")


def check_store_code(text: str) -> None:
    """Raises `invalid` unless it is 1 to 32 letters, digits, `_` or `-`."""
    if not _STORE_CODE.fullmatch(text):
        raise INVALID.error("1 to 32 letters, digits, '_' or '-'.", field="code")


def check_merchant_no(text: str) -> None:
    """Raises `invalid` unless it fits field 42 of ISO 8583 as we use it: 15 of 0-9, A-Z."""
    if not _MERCHANT_NO.fullmatch(text):
        raise INVALID.error("15 characters of 0-9 and A-Z.", field="merchant_no")


def allotted_merchant_no(revision: int) -> str:
    """A merchant number for a store that came with none; revisions never repeat."""
    return f"KB{revision:013d}"
