"""Messages that UnionPay's test gateway and a test merchant have signed, from public test suites.

No SDK of UnionPay's is to be had; these bytes are what its servers sent (`about` in the file).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kabao.adapters import rsa
from kabao.adapters.unionpay import notices
from kabao.adapters.unionpay.channel import paid
from kabao.adapters.unionpay.signing import Trust, content, fields_of
from kabao.base.clock import to_us
from kabao.funding.model.answers import Incoming, Notice, Paid, Rejected, Why

from .world import pool

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors/unionpay.json").read_text())
SIGNERS = frozenset({"中国银联股份有限公司"})
AT = datetime(2024, 1, 5, tzinfo=UTC)


def certificate(name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(VECTORS[name].encode())


def trust(*between: str, signers: frozenset[str] = SIGNERS) -> Trust:
    return Trust(certificate("root"), [certificate(name) for name in between], signers)


def notification() -> dict[str, str]:
    said = VECTORS["notification"]
    return {**fields_of(said["fields"]), "signature": said["signature"]}


@pytest.mark.parametrize("number", range(4))
def test_what_a_merchant_signs_is_what_we_would_sign(number: int) -> None:
    fields = dict(parse_qsl(VECTORS["questions"][number], strict_parsing=True))
    key = certificate("merchant").public_key()
    assert isinstance(key, RSAPublicKey)
    assert fields["certId"] == str(certificate("merchant").serial_number)
    assert rsa.holds(key, content(fields), fields["signature"])
    assert not rsa.holds(key, content({**fields, "txnTime": "0"}), fields["signature"])


@pytest.mark.parametrize("number", range(3))
def test_what_the_gateway_answers_is_believed(number: int) -> None:
    said = fields_of(VECTORS["answers"][number])
    assert trust("middle").holds(said, AT)
    assert not trust("middle").holds({**said, "respCode": "01"}, AT)
    assert not trust("middle", signers=frozenset({"somebody else"})).holds(said, AT)
    assert not trust().holds(said, AT)  # the chain has a gap
    assert not trust("merchant").holds(said, AT)
    assert not trust("middle").holds(said, AT.replace(year=2026))  # its certificate is over


def issued(name: str, key: RSAPrivateKey, by: x509.Name, by_key: RSAPrivateKey) -> str:
    """A certificate of UnionPay's name that somebody made."""
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(AT.replace(year=2023))
        .not_valid_after(AT.replace(year=2025))
        .sign(by_key, SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def test_a_certificate_that_only_names_its_issuer_is_not_believed() -> None:
    """One that says it is by UnionPay's authority, and one by somebody who is no authority."""
    new = pool()
    stranger, other = new(), new()
    name = "041@1@中国银联股份有限公司@1"
    for by in (certificate("middle").subject, certificate("root").subject):
        pem = issued(name, stranger, by, other)
        said = {"respCode": "00", "signPubKeyCert": pem}
        said["signature"] = rsa.sign(stranger, content(said))
        assert rsa.holds(stranger.public_key(), content(said), said["signature"])
        assert not trust("middle").holds(said, AT)


def test_the_answer_to_a_query_is_read() -> None:
    said = fields_of(VECTORS["answers"][0])
    assert (said["respCode"], said["origRespCode"], said["respMsg"]) == (
        "00",
        "00",
        "成功[0000000]",
    )
    found = paid(said, to_us(AT))
    assert isinstance(found, Paid)
    assert (found.channel_no, found.amount_fen) == ("442401051450467846498", 1)
    assert found.paid_us == to_us(datetime(2024, 1, 5, 6, 50, 46, tzinfo=UTC))


def test_a_notification_is_read() -> None:
    said, at = notification(), datetime(2022, 9, 8, tzinfo=UTC)
    body = urlencode(said).encode()
    notice = notices.read(Incoming({}, body), trust("middle"), said["merId"], at)
    assert isinstance(notice, Notice) and isinstance(notice.about, Paid)
    assert notice.order_no == "yansongda20220908132206"
    assert (notice.about.channel_no, notice.about.amount_fen) == ("782209081322060674028", 1)
    other = notices.read(Incoming({}, body), trust("middle"), "1", at)
    assert other == Rejected(Why.WRONG_MERCHANT, notice.order_no)
    bent = urlencode({**said, "txnAmt": "2"}).encode()
    assert notices.read(Incoming({}, bent), trust("middle"), said["merId"], at) == (
        Rejected(Why.FORGED)
    )
