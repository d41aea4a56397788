"""Alipay's open platform with RSA2 signatures.

One gateway. Parameters are sorted and joined as `a=1&b=2`, without empty ones
and without `sign`, and signed; the answer signs the text of its own node, byte
for byte. Amounts are yuan with two decimals, times are Shanghai's.

  signing   what is signed, of requests, answers and notifications
  channel   the port: page, QR, the payer's code; query, close or cancel, refund
  notices   notifications
  bill      the trade bill: a zip of CSV in GBK

A closed trade is closed unpaid, or paid and given back whole: only `send_pay_date`
and `gmt_payment` tell the two apart.
"""
