"""WeChat Pay v3 in public-key mode.

JSON over REST. A request signs method, path, time, nonce and body; answers and
notifications sign time, nonce and body, and say by which key. What a
notification is about is encrypted besides, with the key of API v3.

  signing   what is signed, and the age a signature may have
  channel   the port: QR (native), app (JSAPI), the payer's code; query, close or
            reverse, refund
  notices   notifications
  bill      the trade bill: CSV with a back-tick before every value

Credit cannot be barred by the merchant's request here, so an order that must not
be paid by credit is refused before it is sent.
"""
