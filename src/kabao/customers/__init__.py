"""Holders and buyers of cards: who they are, how sure we are, and what they agreed to.

Words
  customer      a person or a unit (company, agency) known to one company of the group
  profile       the personal data of a customer: one sealed value, found by blind index
  level         how far the real name is proven: none, phone, identity, face
  verification  one proof, by a named method (ruling 15); void once what it proved changes
  consent       one thing agreed to, by version and hash of the document (CR-06, CR-81)
  look          somebody of the staff sees or seeks a customer; each one is told to a log
  erased        the profile is gone for good, the pseudonymous row stays (CR-85)

Tables: customer, verification, consent.

Invariants
  personal data leaves this slice in clear only through `get` (for other slices),
  `export` (for the customer's own request) and never over HTTP
  an identity number stands at most once within a company
  level = the highest that a live verification grants
  nothing is deleted; consents and verifications are withdrawn and voided with their time
"""
