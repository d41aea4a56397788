"""commands.md: the command line and the settings."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import typer

from kabao.app import cli, settings
from kabao.app.reference.markdown import page, table
from kabao.app.settings import Settings, variable

_PLAIN = {
    "http_host": "The address the servers listen on.",
    "http_port": "The port of the API and its pages.",
    "pos_port": "The port of the POS host (ISO 8583).",
    "cipher": "What new values are encrypted with: `sm4` or `aes256`.",
    "timezone": "Where business days begin.",
    "tls_cert": "The certificate; with it the servers speak TLS 1.3 and nothing else.",
    "tls_key": "Its key.",
    "log_level": "The least severe line that is logged: `debug`, `info`, `warning` or `error`.",
}
"""What settings are that carry no docstring of their own."""

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def commands() -> str:
    """The page."""
    parts = [text for name, command in _walk() for text in _command(name, command)]
    return page(
        "Commands and settings",
        "Every command has an example in its `--help`, answers in JSON with `--json`, and ends\n"
        "with a status other than 0 and one clear line when it fails.",
        *parts,
        "## Settings",
        "Environment variables, read once at the start. Instead of `NAME` there may be\n"
        "`NAME_FILE`, the file that holds the value.",
        table(("Variable", "Default", "Meaning"), _settings()),
    )


def _walk() -> Iterator[tuple[str, Any]]:
    """Every command (typer's own click has no public types) with its full name."""
    todo: list[tuple[str, Any]] = [("kabao", typer.main.get_command(cli.app))]
    while todo:
        name, command = todo.pop(0)
        children: dict[str, Any] = getattr(command, "commands", {})
        if not children:
            yield name, command
        todo[:0] = [(f"{name} {child}", children[child]) for child in children]


def _command(name: str, command: Any) -> Iterator[str]:
    yield f"## `{name}`"
    yield inspect.cleandoc(command.help or "").partition("\f")[0]
    lines = [_parameter(each) for each in command.params if each.name != "help"]
    if lines:
        yield table(("Argument or option", "Meaning"), lines)
    if command.epilog:
        examples = [line.strip() for line in command.epilog.splitlines() if "$ " in line]
        yield "\n".join(["```sh", *(line.removeprefix("$ ") for line in examples), "```"])


def _parameter(each: Any) -> tuple[str, str]:
    if each.param_type_name == "argument":
        return f"`{(each.metavar or each.name).upper()}`", each.help or ""
    told = each.help or ""
    if not each.is_flag and each.default not in (None, (), "") and not callable(each.default):
        told += f" Default: {each.default}."
    return f"`{', '.join(each.opts)}`", told


def _settings() -> Iterator[tuple[str, str, str]]:
    told = _docstrings()
    for field in msgspec.structs.fields(Settings):
        meaning = told.get(field.name) or _PLAIN.get(field.name)
        assert meaning, f"the setting {field.name} has no docstring"
        default = "" if field.default is None else f"`{_plain(field.default)}`"
        yield f"`{variable(field.name)}`", default, meaning


def _plain(value: Any) -> str:
    """A default as one would write it."""
    match value:
        case timedelta():
            return f"{value // HOUR:02d}:{value % HOUR // MINUTE:02d}"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _docstrings() -> dict[str, str]:
    """The strings beneath the fields of `Settings`; Python keeps none of them."""
    tree = ast.parse(Path(settings.__file__).read_text(encoding="utf-8"))
    (body,) = (
        node.body
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == "Settings"
    )
    found = {}
    for field, text in pairwise(body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(told))),
            ):
                found[name] = inspect.cleandoc(told)
    return found
