"""Risk: what looks like theft or laundering, seen a moment later, for a person to judge.

Words
  emptied   a payment that leaves nothing on its card, or nearly nothing
  drain     several cards emptied in one store within minutes (CR-91)
  load      a top-up that was confirmed minutes ago
  spent     a card pays until it has no more than it had before a load
  alarm     the drain that goes on in a store; it is one case, however long
  flagged   a payment that looked strange by itself (R-06) and went through

It reads the outbox, in order, and asks nobody who pays: a payment never waits for
it. What it remembers is minutes old at most, by the events' own time. What it
finds becomes a case, which only keys for whole companies see: whoever empties
cards may work in the store.

Tables: emptied, load, alarm.

Invariants
  an event is judged once: memory, cases and the reader's place move in one transaction
  a drain is one case until a whole window passes without a further card
  nothing is kept longer than the window of its programme, and a minute
"""
