"""The auditor: recomputes what must hold from the raw tables, and shares no code
with what wrote them.

Words
  line     one thing recomputed: what it is, its figures, whether it holds
  breach   a row, card, operation or batch for which it does not hold
  noted    allowed, and worth a look (a card over its limit after a reversal)
  head     the last batch of a writer; kept outside the database (an anchor), it
           proves later that nothing before it was rewritten or cut off
  journal  what the clients of a simulation were told, to compare with the books

Reads the tables of ledger, payments, tenders, topups, cards and base; owns none. All of it
in one read-only snapshot, with sums in SQL and digests streamed, so that memory
stays flat. It knows the tables' names and docs/LEDGER.md, and imports no slice.

The lines carry the ids I-1 … I-9 of docs/LEDGER.md, "What must hold".
"""
