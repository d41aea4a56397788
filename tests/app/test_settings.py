"""Settings from the environment: defaults, files, and one line for what is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from kabao.app.settings import Cipher, LogLevel, Settings, load, strangers, variable
from kabao.base.errors import KabaoError


def test_defaults() -> None:
    settings = load({})
    assert settings.data == Path.cwd() / ".kabao"
    assert settings.keys_file == Path.cwd() / ".kabao" / "keys.json"
    assert (settings.http_host, settings.http_port, settings.pos_port) == ("127.0.0.1", 8080, 8583)
    assert settings.database_url is None
    assert settings.cipher is Cipher.SM4
    assert settings.business_day_cutoff == timedelta(0)
    assert settings.lanes == 3


def test_every_setting_can_be_set(tmp_path: Path) -> None:
    (tmp_path / "pem").touch()
    given = {
        "KABAO_DATA": "data",
        "KABAO_DATABASE_URL": "postgresql://kabao:hush@db/kabao",
        "KABAO_DATABASE_CONNECTIONS": "20",
        "KABAO_HTTP_HOST": "::1",
        "KABAO_HTTP_PORT": "9000",
        "KABAO_POS_PORT": "9001",
        "KABAO_PUBLIC_URL": "https://pay.example.com",
        "KABAO_CIPHER": "aes256",
        "KABAO_KEYS": str(tmp_path / "keys"),
        "KABAO_TIMEZONE": "Europe/Berlin",
        "KABAO_BUSINESS_DAY_CUTOFF": "03:30",
        "KABAO_POLICY_DIR": str(tmp_path),
        "KABAO_FONTS_DIR": str(tmp_path),
        "KABAO_TLS_CERT": str(tmp_path / "pem"),
        "KABAO_TLS_KEY": str(tmp_path / "pem"),
        "KABAO_TLS_CLIENT_CA": str(tmp_path / "pem"),
        "KABAO_LANES": "3",
        "KABAO_SIMULATED": "true",
        "KABAO_SMS_URL": "https://sms.example.com",
        "KABAO_SMS_KEY": "hush",
        "KABAO_WECHAT_URL": "https://api.example.com",
        "KABAO_WECHAT_APP_ID": "wx1",
        "KABAO_WECHAT_APP_SECRET": "hush",
        "KABAO_WEBHOOKS_PRIVATE": "true",
        "KABAO_LOG_LEVEL": "debug",
    }
    assert set(given) == {variable(field.name) for field in msgspec.structs.fields(Settings)}
    settings = load(given)
    assert settings.data == Path.cwd() / "data"
    assert settings.business_day_cutoff == timedelta(hours=3, minutes=30)
    assert settings.log_level is LogLevel.DEBUG
    assert settings.lanes == 3
    assert Settings.from_json(settings.to_json()) == settings


def test_a_secret_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://kabao:hush@db/kabao\n")
    settings = load({"KABAO_DATABASE_URL_FILE": str(file)})
    assert settings.database_url == "postgresql://kabao:hush@db/kabao"


def test_an_empty_variable_is_not_set() -> None:
    assert load({"KABAO_HTTP_PORT": ""}) == load({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KABAO_HTTP_PORT", "abc"),
        ("KABAO_HTTP_PORT", "0"),
        ("KABAO_HTTP_PORT", "65536"),
        ("KABAO_HTTP_PORT", "80.5"),
        ("KABAO_POS_PORT", "8080"),
        ("KABAO_DATABASE_CONNECTIONS", "1"),
        ("KABAO_LANES", "0"),
        ("KABAO_LANES", "33"),
        ("KABAO_CIPHER", "des"),
        ("KABAO_TIMEZONE", "Mars/Olympus"),
        ("KABAO_TIMEZONE", "../etc/passwd"),
        ("KABAO_BUSINESS_DAY_CUTOFF", "24:00"),
        ("KABAO_BUSINESS_DAY_CUTOFF", "3:30"),
        ("KABAO_BUSINESS_DAY_CUTOFF", "03:60"),
        ("KABAO_POLICY_DIR", "/no/such/folder"),
        ("KABAO_FONTS_DIR", "/no/such/folder"),
        ("KABAO_TLS_CERT", "/no/such/file"),
        ("KABAO_TLS_CLIENT_CA", "/no/such/file"),
        ("KABAO_LOG_LEVEL", "loud"),
        ("KABAO_DATABASE_URL", "hush"),
        ("KABAO_DATABASE_URL", "http://hush"),
        ("KABAO_DATABASE_URL_FILE", "/no/such/file"),
    ],
)
def test_a_bad_setting_is_one_clear_line(name: str, value: str) -> None:
    with pytest.raises(KabaoError) as refused:
        load({name: value})
    assert refused.value.code.name == "bad_setting"
    assert refused.value.field == name
    assert name in refused.value.detail
    assert "\n" not in refused.value.detail
    assert "hush" not in refused.value.detail


def test_a_setting_given_twice(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("9000")
    with pytest.raises(KabaoError, match="both set"):
        load({"KABAO_HTTP_PORT": "9000", "KABAO_HTTP_PORT_FILE": str(tmp_path / "port")})


def test_a_misspelt_setting_is_told() -> None:
    assert strangers({"KABAO_HTTPPORT": "1", "HOME": "/", "KABAO_KEYS_FILE": "x"}) == [
        "KABAO_HTTPPORT is not a setting and is ignored. Did you mean KABAO_HTTP_PORT?"
    ]
