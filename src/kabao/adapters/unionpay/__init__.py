"""UnionPay's online gateway (全渠道), version 5.1.0, which 云闪付 and bank cards stand behind.

Forms. A message's fields are sorted and joined, their SHA-256 is written in hex,
and that text is signed. An answer brings the certificate it is signed with, which
must be UnionPay's and chain up to its root. Amounts are fen.

  signing   what is signed, and whose certificate is believed
  channel   the port: page, QR (01/07), the payer's code (01/06); query, reversal, refund
  notices   notifications
  bill      the file of a day: a zip of lines of fixed width, in GBK

An order is known by its number and the moment it was sent together. A purchase and
a refund are first taken (`respCode` 00) and told later: by a notification, or a query
whose `origRespCode` is what became of it. Nothing closes an unpaid order but its time.
"""
