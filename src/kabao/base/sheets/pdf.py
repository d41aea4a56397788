"""A sheet as PDF, set by typst: the extra `docs`.

No font comes with it that knows Chinese. Those of the system are used, and those of
a folder of the operator's; where there is none, the page says so rather than showing boxes.
"""

from __future__ import annotations

import unicodedata
from importlib.resources import files
from pathlib import Path

import msgspec

from kabao.base.errors import Kind, code
from kabao.base.sheets import Note, Section, Sheet

PDF_NOT_INSTALLED = code(
    "pdf_not_installed", Kind.UNAVAILABLE, "PDF needs the extra `docs` of this platform."
)

_TEMPLATE = files("kabao.base.sheets").joinpath("sheet.typ").read_bytes()
_CJK_FAMILIES = frozenset({"Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC"})
_NO_FONT = (
    "No font for Chinese is installed here, so Chinese characters are left out of this document: "
    "install Noto Sans CJK, or name a folder of fonts in KABAO_FONTS_DIR."
)
_BEYOND = 0x2E80
"""The first of the Chinese characters, their punctuation and what comes after."""


def pdf(sheet: Sheet, fonts_dir: Path | None = None) -> bytes:
    """The document. The same sheet and the same fonts are the same bytes.

    Raises `pdf_not_installed`.
    """
    try:
        import typst  # noqa: PLC0415 -- an extra: most processes never draw a PDF
    except ImportError as missing:
        raise PDF_NOT_INSTALLED.error(
            "Install it with: pip install 'kabao[docs]'. HTML needs nothing."
        ) from missing
    paths = [str(fonts_dir)] if fonts_dir is not None else []
    fonts = typst.Fonts(include_system_fonts=True, font_paths=paths)
    cjk = not _CJK_FAMILIES.isdisjoint(fonts.families())
    encoded = msgspec.json.encode(sheet)
    if not cjk and _has_chinese(encoded.decode()):
        encoded = msgspec.json.encode(_without_chinese(sheet))
    inputs = {"sheet": encoded.decode(), "cjk": "yes" if cjk else "no"}
    return bytes(typst.compile(_TEMPLATE, font_paths=fonts, sys_inputs=inputs))


def _has_chinese(text: str) -> bool:
    return any(ord(char) >= _BEYOND for char in text)


def _without_chinese(sheet: Sheet) -> Sheet:
    """The sheet with a note at its end, and no character it cannot show."""
    told = Section("", (Note(_NO_FONT, alarm=True),))
    sheet = Sheet(sheet.title, sheet.subtitle, (*sheet.sections, told))
    return msgspec.convert(_narrowed(msgspec.to_builtins(sheet)), Sheet)


def _narrowed(value: object) -> object:
    match value:
        case str():
            plain = unicodedata.normalize("NFKC", value)
            return "".join(char if ord(char) < _BEYOND else "_" for char in plain)
        case dict():
            return {key: _narrowed(each) for key, each in value.items()}
        case list() | tuple():
            return [_narrowed(each) for each in value]
        case _:
            return value
