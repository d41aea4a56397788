"""Pages whose links lead somewhere and whose names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .tree import DOCS, ROOT, SRC, documents, here, none_of, text

README_MAX = 150
LINE_MAX = 120
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```", re.DOTALL)
FILE = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|toml|md|sql|json|html|mako)|(?:[\w.-]+/)+)`")
MODULE = re.compile(r"`(kabao(?:\.[a-z_]+)+)")

GENERATED = ("docs/reference/", "docs/capabilities.md")

OF_AN_INSTALLATION = {"keys.json", "demo.json", "keys.json.lock", "keys.json.new", "draft.toml"}
"""Files that pages speak of and that are in no repository."""

PAGES = documents()


def prose(page: Path) -> str:
    return CODE.sub("", text(page))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    heads = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=here)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for link in LINK.findall(prose(page)):
        if re.match(r"https?://|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    none_of(wrong)


@pytest.mark.parametrize("page", PAGES, ids=here)
def test_files_and_modules_that_are_named_exist(page: Path) -> None:
    if here(page).startswith(GENERATED):
        return
    wrong = [
        name
        for name in FILE.findall(prose(page))
        if name not in OF_AN_INSTALLATION
        and not any((folder / name).exists() for folder in (ROOT, SRC, page.parent))
        and not ("/" not in name and any([*SRC.rglob(name), *DOCS.rglob(name)]))
    ]
    for name in MODULE.findall(prose(page)):
        parts = name.split(".")[1:]
        wrong += [] if _is_there(parts) else [name]
    none_of(wrong)


def _is_there(parts: list[str]) -> bool:
    """A module, or something in one: `kabao.vault.ports.KeyStore`."""
    path = SRC
    for part in parts:
        if (path / part).is_dir():
            path /= part
        else:
            return (path / f"{part}.py").is_file()
    return True


@pytest.mark.parametrize("page", PAGES, ids=here)
def test_lines_are_short(page: Path) -> None:
    """Tables and links are as long as they are."""
    if here(page).startswith(GENERATED):
        return
    wrong = [
        number
        for number, line in enumerate(text(page).splitlines(), 1)
        if len(line) > LINE_MAX and "|" not in line and "](" not in line
    ]
    none_of(wrong)


def test_the_readme_is_short() -> None:
    assert len(text(ROOT / "README.md").splitlines()) < README_MAX


def test_every_page_can_be_found() -> None:
    """From the README or from docs/README.md, in two steps at most."""
    start = [ROOT / "README.md", ROOT / "docs" / "README.md"]
    first = {target for page in start for target in _targets(page)}
    second = {target for page in first if page.suffix == ".md" for target in _targets(page)}
    none_of([here(page) for page in PAGES if page not in {*start, *first, *second}])


def _targets(page: Path) -> set[Path]:
    links = (link.partition("#")[0] for link in LINK.findall(prose(page)))
    found = {(page.parent / link).resolve() for link in links if link and "://" not in link}
    folders = {folder / "README.md" for folder in found if folder.is_dir()}
    return {path for path in found | folders if path.is_file()}
