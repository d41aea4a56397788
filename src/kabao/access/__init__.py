"""Access: who may do what, who agreed to it, and who did it.

Words
  operator      a person of the back office, with a login, a password and a second factor
  API key       a token with which a program acts; its owner is the person who made it
  session       a token an operator gets by logging in; ends when idle
  verb          one permission, such as `cards:read`; a role is a named set of verbs
  scope         the company in whose name one acts, the companies and stores one sees
  maker         the person who asked for something that takes two; never its checker
  approval      that request: inert data, and an executor registered by the slice that asked
  deed          one line of the audit log: who did what, on what, from where, why

Tables: operator, api_key, session, approval, audit_log, audit_head, revision.

Invariants
  tokens are stored as hashes; a password as argon2, a TOTP secret sealed
  nobody gets or gives a verb that a second person has not agreed to, unless the giver has it
  maker and checker are two people, whatever keys and sessions they came through
  what was asked is what is executed: the payload is bound to its maker by a keyed MAC
  a revoked token is dead in every process within `TRUST_S`
  a TOTP step opens one session; a wrong password counts before it is judged
  the audit log is only added to, row chained to row, each under a MAC
"""
