"""Structured lines on stderr in which secrets are masked.

One JSON object a line. Whatever is logged, by us or by a library, passes
`mask_event` last, so a card number in an exception text is masked as well:

    card numbers   13 digits and more: the first 6 and the last 4 stay (PCI DSS 3.4.1)
    phones         mainland mobile numbers: the first 3 and the last 4 stay
    ID numbers     18 characters of a resident identity card: nothing stays
    API keys       `kb_…`, bearer tokens, passwords in URLs: nothing stays
    fields         named like a secret (`pin`, `authorization`, …): nothing stays
    database       what an error says: only its code and constraint stay

Masking rather errs on the side of too much. What carries no secret and looks
like digits (our ids, fields ending in `_us`, `_ns` or `_fen`) is left alone.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO, cast

import psycopg
import structlog
from structlog.typing import ExcInfo

MASK = "[masked]"
LEVELS = ("debug", "info", "warning", "error")

_HIDDEN_WORDS = (
    "pin|pins|password|passwd|passphrase|secret|secrets|authorization|cookie|token|tokens|"
    "track|track1|track2|track3|cvv|cvv2|cvn|cvn2|otp|totp|tmk|tpk|tak|kek|dek|"
    "api[_\\-]?key|private_key|card_key|mac_key|pin_block|id_number|plaintext"
)
_SECRET_FIELD = re.compile(rf"(?:.*[_.\-])?(?:{_HIDDEN_WORDS})", re.IGNORECASE)
_EXEMPT_FIELD = re.compile(r".*_(?:us|ns|fen)")

_SECRET_TEXT = re.compile(
    r"""
      (?P<ident>(?<![0-9A-Za-z])(?:[a-z]{2,4}_)?(?=[0-9a-f]*[a-f])[0-9a-f]{32}(?![0-9A-Za-z]))
    | (?P<url>://[^\s/:@]*:)[^\s/@]+(?=@)
    | (?P<bearer>\b(?:Bearer|Basic)\s+)[^\s"',;]+
    | (?P<key>\bkb_)[0-9A-Za-z_\-]+
    | (?P<name>\b(?:[a-z0-9]+_)*(?:"""
    + _HIDDEN_WORDS
    + r""")["']?\s*[=:]\s*)
        (?P<value>"[^"]*"|'[^']*'|(?:(?:Bearer|Basic)\s+)?[^\s"',;&}\])]+)
    | (?P<person>(?<!\d)[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])
        \d{3}[0-9Xx](?![0-9A-Za-z]))
    | (?P<phone>(?<!\d)(?:(?:00)?86[ \-]?)?1[3-9]\d[ \-]?\d{4}[ \-]?\d{4}(?!\d))
    | (?P<card>(?<!\d)(?:\d{13,}|\d{4}(?:[ \-]\d{4}){2,3}[ \-]\d{1,4})(?!\d))
    """,
    re.VERBOSE | re.IGNORECASE,
)


def mask_text(text: str) -> str:
    """The text with every secret in it masked."""
    return _SECRET_TEXT.sub(_masked, text)


def mask_event(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The structlog processor: masks every field, at any depth."""
    return cast("dict[str, Any]", _mask("", dict(event)))


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send our lines and those of every library to `stream` (stderr) as JSON."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.ExceptionRenderer(_exception),
                mask_event,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("procrastinate", "alembic", "sqlalchemy", "uvicorn"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    # Its every try to connect to a database that is away; we say that once.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a slice: `log.info("issued", cards=1000)`."""
    return structlog.stdlib.get_logger(f"kabao.{name}")


def describe(exc: BaseException) -> str:
    """A traceback for the log: frames without variables, causes included.

    The text of a database error stays out, because PostgreSQL quotes the
    values it complains about.
    """
    lines: list[str] = []
    link: BaseException | None = exc
    while link is not None and len(lines) < 400:
        lines += [line.rstrip() for line in traceback.format_tb(link.__traceback__)]
        lines.append(f"{type(link).__name__}: {_message(link)}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        if link is not None:
            lines.append("caused by")
    return "\n".join(lines)


def _message(exc: BaseException) -> str:
    if isinstance(exc, psycopg.Error):
        return f"sqlstate {exc.sqlstate}, constraint {exc.diag.constraint_name}"
    return str(exc)[:500]


def _exception(exc_info: ExcInfo) -> str:
    return describe(exc_info[1])


def _mask(name: str, value: Any) -> Any:
    """One value of a log line, by the name of its field and by what it looks like."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, Mapping):
        return {mask_text(str(key)): _mask(str(key), inner) for key, inner in value.items()}
    if _SECRET_FIELD.fullmatch(name):
        return MASK
    if isinstance(value, int):
        text = str(value)
        masked = text if _EXEMPT_FIELD.fullmatch(name) else mask_text(text)
        return value if masked == text else masked
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask(name, inner) for inner in value]
    return mask_text(value if isinstance(value, str) else repr(value))


def _masked(found: re.Match[str]) -> str:
    kind, text = found.lastgroup, found.group()
    if kind == "ident":
        return text
    if kind in ("url", "bearer", "key"):
        return f"{found.group(kind)}{MASK}"
    if kind == "value":
        return f"{found.group('name')}{MASK}"
    digits = re.sub(r"\D", "", text)
    if kind == "phone":
        return f"{digits[-11:-8]}****{digits[-4:]}"
    if kind == "card":
        return f"{digits[:6]}{'*' * (len(digits) - 10)}{digits[-4:]}"
    return MASK
