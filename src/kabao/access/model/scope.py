"""In whose name somebody acts, and what they see."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from kabao.access.model.verbs import Role, verbs_of
from kabao.base.web.principal import Principal


class Scope(msgspec.Struct, frozen=True):
    """The company one acts for; the companies (None: the whole group) and
    stores (None: all of these companies) one sees. Ids.
    """

    company: str
    companies: frozenset[str] | None = None
    stores: frozenset[str] | None = None

    def covers(self, other: Scope) -> bool:
        """Whether everything the other sees and acts for is inside this scope."""
        companies = _within(other.companies, self.companies)
        acts_for = self.companies is None or other.company in self.companies
        return acts_for and companies and _within(other.stores, self.stores)


def _within(inner: frozenset[str] | None, outer: frozenset[str] | None) -> bool:
    """Whether a set lies in another, where None is everything."""
    return outer is None or (inner is not None and inner <= outer)


class Grant(msgspec.Struct, frozen=True):
    """What somebody is given: roles, verbs of their own, and a scope."""

    scope: Scope
    roles: tuple[Role, ...] = ()
    verbs: tuple[str, ...] = ()

    @property
    def all_verbs(self) -> frozenset[str]:
        """All that it permits."""
        return verbs_of(self.roles, self.verbs)


def grant(scope: Scope, roles: Iterable[Role] = (), verbs: Iterable[str] = ()) -> Grant:
    """A grant in one form: each role and verb once, in order."""
    return Grant(scope, tuple(sorted(set(roles))), tuple(sorted(set(verbs))))


def scope_of(principal: Principal) -> Scope:
    """The scope a principal acts in."""
    return Scope(principal.company, principal.companies, principal.stores)


def principal(ident: str, name: str, given: Grant) -> Principal:
    """The principal of a key or an operator."""
    scope = given.scope
    return Principal(ident, name, scope.company, scope.stores, scope.companies, given.all_verbs)
