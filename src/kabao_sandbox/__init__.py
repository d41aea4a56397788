"""What stands outside the platform and uses it as the world does.

  tills      card terminals that speak ISO 8583, each with a cashier's day and bad lines
  kiosk      a machine that takes banknotes, with jams and power cuts
  alipay     Alipay's gateway, its payers and bills
  wechat     WeChat Pay v3
  unionpay   UnionPay's online gateway
  acquirer   terminals that are connected to nobody, and their file of the day
  bank       a merchant's account: transfers, statements, payouts in ISO 20022
  gateway    banks' gateways: online banking, e-CNY, cards of the schemes
  sms        a gateway for texts, and the phones it reaches
  wechat_templates  an official account, and its followers
  parties    who can be played, by name
  world      all of them in one process, behind one desk
  party      what those have in common: faults on demand, a desk, notifications

Nothing here imports `kabao`, and `kabao` imports nothing from here: what both sides get
wrong alike would never be found. The messages are read and written by code of its own.
"""
