"""Cases: what a person must look at, because no rule may decide it.

Words
  case        one thing to look at: its kind, what it is about, the facts
  kind        what happened, named by the slice that opens it ("funding.wrong_amount")
  subject     what it is about, as at the edge ("top_…"); nothing of a person
  occurrence  the same thing happening again: it is counted, no second case is opened
  take        say "I am at it"; the answer that S-17 measures
  due         until when somebody must have taken it; by policy, for each kind
  resolve     say what came of it; that ends the case

Tables: case, note.

Invariants
  of a kind and key there is one case for ever: whoever opens it may repeat itself
  a case is open, then taken, then resolved, and never goes back; an occurrence
  after that is counted and changes nothing else
  what was noted is never changed
"""
