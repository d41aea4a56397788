"""What a payer sees in a browser."""

from __future__ import annotations

import html
from urllib.parse import urlencode

from kabao_sandbox.party.book import State, Trade
from kabao_sandbox.party.http import Response

KIND = "text/html; charset=utf-8"


def asked(name: str, trade: Trade) -> Response:
    """The sum, and a button."""
    yuan = f"{trade.amount_fen // 100}.{trade.amount_fen % 100:02d}"
    body = (
        f"<!doctype html><title>{html.escape(name)}</title><h1>{html.escape(name)} (sandbox)</h1>"
        f"<p>{html.escape(trade.subject)}: {yuan} CNY</p>"
        f'<form method="post" action="/pay/{html.escape(trade.no)}"><button>Pay</button></form>'
    )
    return Response(200, body.encode(), KIND)


def refused(why: str) -> Response:
    """No."""
    return Response(400, f"<!doctype html><p>{html.escape(why)}</p>".encode(), KIND)


def done(trade: Trade) -> Response:
    """Back to the merchant, or a word of thanks."""
    back = trade.more.get("return_url")
    if not back:
        return Response(200, f"<!doctype html><p>{trade.state}</p>".encode(), KIND)
    said = urlencode({"order": trade.no, "paid": "yes" if trade.state is State.PAID else "no"})
    return Response(303, headers={"Location": f"{back}{'&' if '?' in back else '?'}{said}"})
