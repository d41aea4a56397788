"""Who can be played, by the name of the command."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from kabao_sandbox.acquirer.server import Acquirer
from kabao_sandbox.alipay.server import Alipay
from kabao_sandbox.bank.server import Bank
from kabao_sandbox.gateway import products
from kabao_sandbox.gateway.server import Gateway
from kabao_sandbox.party import keys
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Party
from kabao_sandbox.party.moment import Now
from kabao_sandbox.unionpay.server import Unionpay
from kabao_sandbox.wechat.server import Wechat

PARTIES: dict[str, Callable[[Now, Chance, keys.New], Party]] = {
    "alipay": Alipay,
    "wechat": Wechat,
    "unionpay": Unionpay,
    "netbank": partial(Gateway, products.NETBANK),
    "netbank_company": partial(Gateway, products.NETBANK_COMPANY),
    "ecny": partial(Gateway, products.ECNY),
    "cards": partial(Gateway, products.CARDS),
    "bank": Bank,
    "acquirer": Acquirer,
}
"""A party of that name, as a clock, chance and keys let it be."""
