"""Routes of the group graph."""

from __future__ import annotations

from kabao.org.http import brand_links, companies, stores

ROUTES = [*companies.ROUTES, *stores.ROUTES, *brand_links.ROUTES]
