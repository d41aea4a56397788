"""Proofs: one-time codes by SMS, and counters that are exact under concurrency.

Words
  code      a few random digits sent to a phone, bound to a purpose and a subject
  purpose   what the code permits, named by whoever asks for it ("card.bind")
  subject   on what it permits it: one id, never personal data
  try       one attempt to say the code; counted before it is judged
  proof     a code that was said rightly; spent once, in the transaction it permits
  token     of a payment page: bound to amount, order and session, spent once
  counter   hits of one name by one subject within a window

Tables: code, sms, page_token, counter.

Invariants
  of a purpose and subject one code lives at a time; a new one ends the old
  a code is judged at most `code_tries` times, proved at most once, spent at most once
  a code stands nowhere in clear but in the sealed text of its SMS, until that is handed over
  of any number of concurrent hits exactly `limit` are allowed in a window
  a try is counted in a transaction that commits whatever the answer is
"""
