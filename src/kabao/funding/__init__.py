"""Money from outside and back: what a payment channel may be asked and may say.

Words
    collection one sum to be collected for one purpose; at most one of its orders is confirmed.
    purpose    what money is collected for; whoever stands above serves it and is told.
    order      an attempt to collect it through one channel; its number is known to both.
    channel    who takes the money outside: Alipay, WeChat Pay, UnionPay, a bank.
    scene      how the payer meets the order: a page, a QR code, their own code at a till.
    answer     what a channel said, as a value. `Unknown` is one: it is never guessed, never raised.
    notice     what a channel sent by itself, verified; what cannot be is `Rejected`, with a reason.
    event      what an answer or a notice means for an order.
    bill       a channel's list of a day, for reconciliation.

Invariants (T-20)
    An order moves only by `step(state, event)`, and every pair of the two has an entry.
    Money is confirmed once, whatever arrives how often in which order.
    Money that comes to an order that was given up, or comes twice, goes back by itself.
    An order whose outcome is unknown stays so until the channel tells.

    A step and its effects, the purpose's among them, are one transaction that holds the collection.
    Nothing outside is asked inside of one; what a crash leaves behind falls due to be asked about.

    No channel is given more in a day than its limit, and each choice keeps why (S-09, S-14).

Tables: channel, channel_offer, revision, collection, channel_order, refund, receipt, listing,
    nonce, bill;
    for choosing channels: choice, channel_day, channel_minute, channel_standing, channel_change.
"""
