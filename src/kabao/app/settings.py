"""What the environment says, read once and handed on as one frozen value.

Every setting `NAME` is the variable `KABAO_NAME`, or a file that holds it
named by `KABAO_NAME_FILE` (secrets mounted as files). No other module reads
the environment.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from kabao.base.errors import SETTING, KabaoError
from kabao.base.logs import LEVELS

PREFIX = "KABAO_"
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]


class Cipher(StrEnum):
    """What personal data and secrets are encrypted with."""

    SM4 = "sm4"
    AES256 = "aes256"


class LogLevel(StrEnum):
    """The least severe line that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting with its default. Paths are absolute."""

    data: Path = Path(".kabao")
    """The data folder: embedded database, keys."""
    database_url: str | None = None
    """A PostgreSQL of yours; without it Kabao starts its own in the data folder."""
    database_connections: Annotated[int, msgspec.Meta(ge=2, le=100)] = 12
    """The most connections one process takes from its pool."""
    http_host: str = "127.0.0.1"
    http_port: Port = 8080
    pos_port: Port = 8583
    public_url: str | None = None
    """Where payment channels reach us; without it `http_host` and `http_port`."""
    cipher: Cipher = Cipher.SM4
    keys: Path | None = None
    """The file with the key-encryption keys; `keys.json` in the data folder."""
    timezone: str = "Asia/Shanghai"
    business_day_cutoff: timedelta = timedelta(0)
    """`HH:MM`: before it, a moment belongs to the business day before."""
    policy_dir: Path | None = None
    """Policy packs of yours, read after those that Kabao brings."""
    fonts_dir: Path | None = None
    """Fonts for PDFs, besides those of the system: one that knows Chinese."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """With it, only clients with a certificate of this authority are served. Without it, tills on
    other machines sign in only where policy waives the certificate.
    """
    lanes: Annotated[int, msgspec.Meta(ge=1, le=32)] = 3
    """Ledger lanes per process. Three on two cores: while two batches are in the
    database, one is being decided or answered.
    """
    log_level: LogLevel = LogLevel.INFO
    sms_url: str | None = None
    """Where the SMS gateway is; the real one unless it is said, once there is a key."""
    sms_key: str | None = None
    """The SMS gateway's key; without one no texts are sent."""
    wechat_url: str | None = None
    """Where WeChat's API for official accounts is; the real one unless it is said."""
    wechat_app_id: str | None = None
    """The official account that tells holders by template messages; none without it."""
    wechat_app_secret: str | None = None
    """Its secret; both come from the account's console."""
    webhooks_private: bool = False
    """Whether webhooks may go to private addresses and over plain http: for development only."""
    simulated: bool = False
    """Whether this is a simulation, which may live in simulated time."""

    @property
    def notify_base(self) -> str:
        """Where payment channels send their notifications."""
        host = f"[{self.http_host}]" if ":" in self.http_host else self.http_host
        return self.public_url or f"http://{host}:{self.http_port}"

    @property
    def keys_file(self) -> Path:
        """Where the key-encryption keys are."""
        return self.keys or self.data / "keys.json"

    @property
    def figures(self) -> Path:
        """Where servers leave their figures for each other."""
        return self.data / "figures"

    def to_json(self) -> bytes:
        """For a child process, which must not read the environment again."""
        return msgspec.json.encode(self, enc_hook=str)

    @classmethod
    def from_json(cls, text: bytes | msgspec.Raw) -> Settings:
        """What `to_json` gave."""
        return msgspec.json.decode(text, type=cls, dec_hook=_from_text)


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. Raises `bad_setting` with the variable at fault."""
    if environment is None:
        environment = os.environ
    given = {
        field.name: _parse(field, text)
        for field in msgspec.structs.fields(Settings)
        if (text := _text(environment, variable(field.name))) is not None
    }
    settings = Settings(**given)
    paths = {
        field.name: value.expanduser().absolute()
        for field in msgspec.structs.fields(Settings)
        if isinstance(value := getattr(settings, field.name), Path)
    }
    settings = msgspec.structs.replace(settings, **paths)
    _check(settings)
    return settings


def variable(name: str) -> str:
    """`http_port` to `KABAO_HTTP_PORT`."""
    return PREFIX + name.upper()


def strangers(environment: Mapping[str, str] | None = None) -> list[str]:
    """A line of warning for each variable that looks like a setting and is none."""
    known = {variable(field.name) for field in msgspec.structs.fields(Settings)}
    known |= {f"{name}_FILE" for name in known}
    lines = []
    for name in sorted(os.environ if environment is None else environment):
        if name.startswith(PREFIX) and name not in known:
            like = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {like[0]}?" if like else ""
            lines.append(f"{name} is not a setting and is ignored.{hint}")
    return lines


def _text(environment: Mapping[str, str], name: str) -> str | None:
    """The text of a setting, from its variable or the file it names."""
    text, file = environment.get(name), environment.get(f"{name}_FILE")
    if text is not None and file is not None:
        raise _bad(name, f"and {name}_FILE are both set")
    if file is not None:
        try:
            text = Path(file).expanduser().read_text().strip()
        except (OSError, UnicodeDecodeError) as unreadable:
            raise _bad(f"{name}_FILE", f"= {file} cannot be read") from unreadable
    return text or None


def _parse(field: msgspec.structs.FieldInfo, text: str) -> Any:
    name = variable(field.name)
    try:
        return _PARSERS[field.name](text) if field.name in _PARSERS else _convert(field, text)
    except ValueError as wrong:
        reason = str(wrong)
        shown = "" if field.name in _SECRET else f" = {text!r}"
        raise _bad(name, f"{shown.strip()} is not usable: {reason}".strip()) from wrong


def _convert(field: msgspec.structs.FieldInfo, text: str) -> Any:
    try:
        return msgspec.convert(text, field.type, strict=False, dec_hook=_from_text)
    except msgspec.ValidationError:
        raise ValueError(f"expected {_EXPECTED[field.name]}") from None


def _from_text(kind: type, text: Any) -> Any:
    if kind is Path:
        return Path(text)
    raise NotImplementedError(kind)


def _database_url(text: str) -> str:
    try:
        parts = conninfo_to_dict(text)
    except ProgrammingError:
        parts = {}
    if not parts or not ("://" in text or "=" in text):
        raise ValueError("expected postgresql://user:password@host:port/database")
    return text


def _cutoff(text: str) -> timedelta:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text)
    if found is None:
        raise ValueError("expected a time of day as HH:MM")
    return timedelta(hours=int(found[1]), minutes=int(found[2]))


def _timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected a name such as Asia/Shanghai") from None
    return text


def _public_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", text):
        raise ValueError("expected https://host or https://host/path")
    return text.rstrip("/")


_PARSERS: dict[str, Callable[[str], Any]] = {
    "database_url": _database_url,
    "public_url": _public_url,
    "business_day_cutoff": _cutoff,
    "timezone": _timezone,
}
_EXPECTED = {
    "database_connections": "a whole number from 2 to 100",
    "http_port": "a port from 1 to 65535",
    "pos_port": "a port from 1 to 65535",
    "cipher": " or ".join(Cipher),
    "lanes": "a whole number from 1 to 32",
    "log_level": ", ".join(LogLevel),
    "webhooks_private": "true or false",
}
_SECRET = frozenset({"database_url", "sms_key", "wechat_app_secret"})
"""Settings whose value is never repeated in a message."""


def _check(settings: Settings) -> None:
    """What no single setting can tell."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise _bad("KABAO_TLS_CERT", "and KABAO_TLS_KEY go together: one of them is missing")
    if settings.tls_client_ca is not None and settings.tls_cert is None:
        raise _bad("KABAO_TLS_CLIENT_CA", "needs KABAO_TLS_CERT and KABAO_TLS_KEY")
    if (settings.wechat_app_id is None) != (settings.wechat_app_secret is None):
        raise _bad("KABAO_WECHAT_APP_ID", "and KABAO_WECHAT_APP_SECRET go together")
    if settings.http_port == settings.pos_port:
        raise _bad("KABAO_POS_PORT", f"= {settings.pos_port} is the same as KABAO_HTTP_PORT")
    for name in ("tls_cert", "tls_key", "tls_client_ca"):
        path = getattr(settings, name)
        if path is not None and not path.is_file():
            raise _bad(variable(name), f"= {path} is not a file")
    if settings.policy_dir is not None and not settings.policy_dir.is_dir():
        raise _bad("KABAO_POLICY_DIR", f"= {settings.policy_dir} is not a folder")
    if settings.fonts_dir is not None and not settings.fonts_dir.is_dir():
        raise _bad("KABAO_FONTS_DIR", f"= {settings.fonts_dir} is not a folder")


def _bad(name: str, what: str) -> KabaoError:
    return SETTING.error(f"{name} {what}.".replace("..", "."), field=name)


assert tuple(LogLevel) == LEVELS, "the levels of base.logs and of the setting are the same"
