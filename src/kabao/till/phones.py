"""What a phone shows to a till without a line: a moment, signed by the phone's own key.

Text: `KBP1`, the phone's id, milliseconds since 1970, and the signature in hexadecimal, with
dots between them. SM2 (default id) over `kabao-phone-code-1`, a line feed, id, dot, milliseconds.
"""

from __future__ import annotations

import re
from datetime import datetime

from kabao import sm2

DOMAIN = b"kabao-phone-code-1\n"
"""Before what is signed: the key signs nothing else."""

_CODE = re.compile(r"KBP1\.([0-9a-f]{32})\.([0-9]{13})\.([0-9a-f]{128})")


def device_of(code: str) -> str | None:
    """Which phone a code says it is of; None for what is no phone's code."""
    found = _CODE.fullmatch(code)
    return found[1] if found is not None else None


def is_fresh(code: str, public: bytes, now: datetime, seconds: int) -> bool:
    """Whether the phone with this public key has signed the code, and just now."""
    found = _CODE.fullmatch(code)
    if found is None or abs(now.timestamp() - int(found[2]) / 1000) > seconds:
        return False
    said = f"{found[1]}.{found[2]}".encode()
    return sm2.verify(public, DOMAIN + said, bytes.fromhex(found[3]))
