"""What WeChat Pay signs, what we sign for it, and what it encrypts."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kabao.adapters import rsa
from kabao.base.clock import US_PER_S
from kabao.funding.model.answers import Why

SCHEME = "WECHATPAY2-SHA256-RSA2048"
NONCE_BYTES = 16
PREFIX = "wechatpay-"


class Merchant:
    """A merchant's account: who we are there, and both sides' keys. Its repr shows nothing."""

    __slots__ = ("_api_key", "app_id", "key", "mch_id", "serial_no", "wechat_key", "wechat_key_id")

    def __init__(
        self,
        *,
        mch_id: str,
        app_id: str,
        serial_no: str,
        key: RSAPrivateKey,
        wechat_key_id: str,
        wechat_key: RSAPublicKey,
        api_key: bytes,
    ) -> None:
        """`api_key` is the key of API v3, 32 bytes. Raises ValueError for another length."""
        self.mch_id, self.app_id, self.serial_no, self.key = mch_id, app_id, serial_no, key
        self.wechat_key_id, self.wechat_key = wechat_key_id, wechat_key
        self._api_key = AESGCM(api_key)

    def authorization(self, method: str, target: str, body: bytes, now_us: int) -> str:
        """The header that signs a request; `target` is the path with its query."""
        seconds, nonce = now_us // US_PER_S, secrets.token_hex(NONCE_BYTES).upper()
        message = b"".join(
            part + b"\n"
            for part in (method.encode(), target.encode(), b"%d" % seconds, nonce.encode(), body)
        )
        return (
            f'{SCHEME} mchid="{self.mch_id}",nonce_str="{nonce}",timestamp="{seconds}",'
            f'serial_no="{self.serial_no}",signature="{rsa.sign(self.key, message)}"'
        )

    def app_fields(self, prepay_id: str, now_us: int) -> dict[str, str]:
        """What WeChat's app wants of a page to begin a payment, signed by us."""
        stamp, nonce = str(now_us // US_PER_S), secrets.token_hex(NONCE_BYTES)
        package = f"prepay_id={prepay_id}"
        message = "".join(f"{part}\n" for part in (self.app_id, stamp, nonce, package))
        return {
            "appId": self.app_id,
            "timeStamp": stamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": rsa.sign(self.key, message.encode()),
        }

    def distrust(
        self, headers: Mapping[str, str], body: bytes, now_us: int, *, age_us: int
    ) -> Why | None:
        """Why an answer or notification is not believed; None if it is WeChat's and fresh.

        The time of sending is signed, so what is older (or younger) than `age_us` is refused.
        """
        stamp, nonce = headers.get(PREFIX + "timestamp", ""), headers.get(PREFIX + "nonce", "")
        signature = headers.get(PREFIX + "signature", "")
        if not (signature and stamp and nonce):
            return Why.UNSIGNED
        if headers.get(PREFIX + "serial") != self.wechat_key_id:
            return Why.WRONG_KEY
        message = b"%b\n%b\n%b\n" % (stamp.encode(), nonce.encode(), body)
        if not rsa.holds(self.wechat_key, message, signature):
            return Why.FORGED
        if not (stamp.isascii() and stamp.isdigit()):
            return Why.UNREADABLE
        return Why.STALE if abs(int(stamp) * US_PER_S - now_us) > age_us else None

    def opened(self, sealed: Sealed) -> bytes | None:
        """What a notification is about; None if it was not encrypted by the key of API v3."""
        if sealed.algorithm != "AEAD_AES_256_GCM":
            return None
        try:
            cipher = base64.b64decode(sealed.ciphertext, validate=True)
            return self._api_key.decrypt(
                sealed.nonce.encode(), cipher, sealed.associated_data.encode()
            )
        except (InvalidTag, binascii.Error, ValueError):
            return None


class Sealed(msgspec.Struct, frozen=True):
    """The encrypted part of a notification."""

    algorithm: str
    ciphertext: str
    nonce: str
    associated_data: str = ""
