"""Who can be played, by the name of the command."""

from __future__ import annotations

from collections.abc import Callable

from kabao_sandbox.alipay.server import Alipay
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Party
from kabao_sandbox.party.moment import Now
from kabao_sandbox.unionpay.server import Unionpay
from kabao_sandbox.wechat.server import Wechat

PARTIES: dict[str, Callable[[Now, Chance], Party]] = {
    "alipay": Alipay,
    "wechat": Wechat,
    "unionpay": Unionpay,
}
"""A party of that name, with keys of its own, as a clock and chance let it be."""
