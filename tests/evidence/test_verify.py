"""A receipt file: whole it holds, and whatever is changed in it is found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from kabao.base.errors import KabaoError
from kabao.evidence.model import UNPROVEN
from kabao.evidence.ops import check, fingerprint, public_key

from .make import RECEIPT, receipt_file, replaced, signer

SIGNER = signer()
FILE = receipt_file(SIGNER)
TEXT = msgspec.json.encode(FILE)


def why(text: bytes, pinned: bytes | None = None) -> str:
    """Why a file does not hold."""
    with pytest.raises(KabaoError) as refused:
        check(text, pinned)
    assert refused.value.code is UNPROVEN
    return refused.value.detail


@pytest.mark.parametrize("leaves", [1, 2, 3, 5, 64, 1000])
def test_a_whole_file_holds(leaves: int) -> None:
    for place in {0, leaves // 2, leaves - 1}:
        file = msgspec.json.encode(receipt_file(SIGNER, leaves=leaves, place=place))
        assert check(file).receipt == RECEIPT
        checked = check(file, SIGNER.public)
        assert (checked.head, checked.pinned) == (7, True)


def test_without_a_pinned_key_it_says_so() -> None:
    checked = check(TEXT)
    assert not checked.pinned
    assert checked.fingerprint == fingerprint(SIGNER.public)


def test_a_forger_with_a_key_of_his_own_is_found_by_the_pinned_one() -> None:
    forged = msgspec.json.encode(receipt_file(signer()))
    assert check(forged)
    assert "not by the trusted" in why(forged, SIGNER.public)


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every leaf of a JSON value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, (*at, name))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from paths(inner, (*at, n))
    else:
        yield at


PATHS = list(paths(json.loads(TEXT)))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_every_changed_value_is_found(path: tuple[Any, ...]) -> None:
    for change in (_other, lambda _: None, lambda _: "", lambda _: 0, lambda _: [], lambda v: [v]):
        file = json.loads(TEXT)
        inner = file
        for step in path[:-1]:
            inner = inner[step]
        before = inner[path[-1]]
        inner[path[-1]] = change(before)
        if inner[path[-1]] == before or (not before and not inner[path[-1]]):
            continue  # None and "" are the same absent text
        assert why(json.dumps(file).encode(), SIGNER.public)


def _other(value: Any) -> Any:
    if isinstance(value, int):
        return value + 1
    return "x" if not value else value[:-1] + ("0" if value[-1] != "0" else "1")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_every_missing_value_is_found(path: tuple[Any, ...]) -> None:
    file = json.loads(TEXT)
    inner = file
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    assert why(json.dumps(file).encode())


def test_no_flipped_bit_is_accepted() -> None:
    """Each byte of the file, a bit of it flipped: it says the same, or it does not hold."""
    for place in range(len(TEXT)):
        flipped = bytearray(TEXT)
        flipped[place] ^= 1 << place % 7
        if not holds(bytes(flipped)):
            continue
        assert json.loads(flipped) == json.loads(TEXT)


def holds(text: bytes) -> bool:
    try:
        return check(text, SIGNER.public).receipt == RECEIPT
    except KabaoError as refused:
        return refused.code is not UNPROVEN


def test_reasons_are_clear() -> None:
    other = msgspec.structs.replace(FILE, receipt=replaced(RECEIPT, "amount"))
    assert "digest is not that of the fields" in why(msgspec.json.encode(other))
    assert "not signed yet" in why(msgspec.json.encode(msgspec.structs.replace(FILE, proof=None)))
    assert "not a receipt file" in why(b"{}")
    assert "not a receipt file" in why(b"\xff\xfe")
    assert "format" in why(TEXT.replace(b"kabao-receipt-1", b"kabao-receipt-2"))
    assert FILE.proof is not None
    signature = FILE.proof.signed.signature.encode()
    assert "signature is not that" in why(TEXT.replace(signature, signature[:-2] + b"00"))
    assert "does not lead" in why(TEXT.replace(b'"place":3', b'"place":2'))
    assert "lower-case" in why(TEXT.replace(signature, signature.upper()))
    assert "deep" in why(TEXT.replace(b'"path":[', b'"path":[' + b'"",' * 65))


def test_a_typed_key() -> None:
    text = SIGNER.public.hex()
    assert public_key(f" {text[:64].upper()}\n{text[64:]}\n") == SIGNER.public
    for bad in ("", text[:-2], text + "00", "zz" * 64):
        with pytest.raises(KabaoError):
            public_key(bad)
