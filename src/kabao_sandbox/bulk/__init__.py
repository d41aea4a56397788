"""Bills in bulk: a day of hundreds of thousands of rows, with known errors in it.

A merchant's day is drawn by chance that can be repeated; what its own books say of it,
what the bill of the day says, and where the two are made to differ are files:

  bill    as Alipay, WeChat Pay, UnionPay, a gateway, an acquirer or a bank writes it
  books   what the merchant knows: CSV, a row for each payment and refund
  truth   every planted error with its class and its numbers: JSON
  channel the merchant's account at whoever wrote the bill: JSON

Nothing here knows the platform: whoever reconciles bill and books must find the truth.

  model     what is drawn and planted
  draw      a day
  plant     errors of eight classes
  forms     how each kind of bill numbers its rows, and what it can show
  legacy    the export of a legacy system, for which each one has columns of its own
  command   `python -m kabao_sandbox bills`
"""
