"""Machines that take banknotes and load cards, with nobody beside them (T-03).

Words
  kiosk      a terminal of that kind; it numbers what happens to it, without gaps
  event      one thing that happened: a note accepted, stacked or given back, a jam, the cassette
  stacked    a note is in the cassette: from then on the money is ours, and the customer's claim
  session    one customer's visit: a card, and the notes stacked for it
  rest       what was stacked in a session and is neither on a card nor paid out yet
  credit     a top-up of a session's rest, by the machine or afterwards by a person
  payout     a rest given back by a person: in cash from a drawer, or by a transfer
  box        the notes of one cassette, from one removal to the next; counted once, by people

Tables: kiosk, session, event, credit, payout, box.

Invariants
  a kiosk's event is known once, and none is skipped: what was not reported is asked for
  a session has on cards what its credits say, and paid out what its payouts say, together
  never more than was stacked
  a rest that nobody finishes in time is a case; settling the rest resolves it
  a box is counted once; what differs from its events is a case
"""
