"""A bank's gateway: online banking of persons and companies, e-CNY, cards of the schemes.

Each bank and acquirer has a protocol of its own, shown to its merchants under contract
and to nobody else. This is the common shape of them, written down here (decision 0037):
what a real one does otherwise is a change in this folder and nowhere else.

JSON over POST, in the envelope of `kabao.adapters.envelope`. Amounts are fen, times RFC 3339.

  products  what the gateways differ in, as data
  said      what an answer or a notification says, as values of the port
  channel   the port
  notices   notifications: payments, refunds, recalls
  bill      the list of a day: lines separated by `|`, totals first
"""
