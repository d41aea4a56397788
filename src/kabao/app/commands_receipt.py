"""`kabao receipt verify | key`: receipts for whoever has only a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from kabao.app.commands_base import Json, answer, example, with_platform
from kabao.app.composition import Kabao
from kabao.base.errors import INVALID
from kabao.base.money import yuan
from kabao.evidence.ops import Checked, check, fingerprint, public_key

receipt = typer.Typer(help="Receipts: check one without us.", no_args_is_help=True)


class SigningKey(msgspec.Struct, frozen=True):
    """The public key that evidence is signed with now."""

    version: int
    public_key: str
    fingerprint: str


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(receipt, name="receipt")


@receipt.callback()
def group() -> None:
    """Receipts: check one without us."""


@receipt.command(
    epilog=example(
        "curl -H 'Authorization: Bearer …' $KABAO/v1/receipts/pay_… > slip.json",
        "kabao receipt verify slip.json --key signing-key.txt",
    )
)
def verify(
    file: Annotated[Path, typer.Argument(help="A receipt as GET /v1/receipts/… gives it.")],
    *,
    key: Annotated[
        str | None,
        typer.Option(help="The public key you trust: 128 hex digits, or a file with them."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a receipt: no database, no network, no trust in whoever handed it over.

    Ends with status 1 and says what is wrong when anything was changed. Without
    --key only the file's own key is checked: compare its fingerprint with the
    one the issuer publishes.
    """
    checked = check(_read(file), None if key is None else public_key(_key_text(key)))
    answer(checked, _text(checked), as_json=as_json)


@receipt.command("key", epilog=example("kabao receipt key > signing-key.txt"))
def show_key(*, as_json: Json = False) -> None:
    """Print the public key that receipts are signed with, to be published."""

    async def work(kabao: Kabao) -> SigningKey:
        public = kabao.vault.public_key()
        return SigningKey(kabao.vault.signature_version, public.hex(), fingerprint(public))

    found = with_platform(work)
    answer(found, found.public_key, as_json=as_json)


def _key_text(key: str) -> str:
    """The option itself, or what stands in the file it names."""
    path = Path(key)
    return _read(path).decode(errors="replace") if path.is_file() else key


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as refused:
        raise INVALID.error(f"{file} cannot be read: {refused.strerror}.") from refused


def _text(checked: Checked) -> str:
    r = checked.receipt
    trust = (
        "the trusted key"
        if checked.pinned
        else f"a key nobody vouched for: compare its fingerprint, {checked.fingerprint}"
    )
    return (
        f"The receipt holds: {r.kind} of {yuan(r.amount)} {r.currency}, "
        f"card ending in {r.last4}, merchant {r.merchant_no}.\n"
        f"Serial {r.serial}, recorded {r.recorded_at}.\n"
        f"In head {checked.head}, signed {checked.signed_at} by {trust}."
    )
