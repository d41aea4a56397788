"""Notices: what happened, told to merchants' systems.

Words
  event       what a slice wrote down when it happened; told with public fields only
  endpoint    an address of a merchant's that wants to be told (a webhook)
  scope       what its owner's key saw when it was made; it is told nothing else
  delivery    one event for one endpoint, until it has answered 2xx
  lane        the deliveries of one card (or other subject) to one endpoint: one
              after the other, in order; a lane that waits holds up no other
  rest        an endpoint that keeps failing is asked again after growing pauses
  dead        a delivery that was given up; it can be looked at and replayed

  template  which event of a programme's cards is told to their holders, in whose words
  follower  a customer whom a WeChat account may tell, by a sealed id
  text      one of those on its way to a holder; whose and what it says is only made
            when it is sent, and kept nowhere

An event is read from the outbox by the relay, which writes deliveries, and sent
by the sender; workers share the sending by leases on lanes. `sequence` counts a
card's events without a gap, but some are not for the receiver or for nobody outside:
a jump says that it may have missed something, `GET /v1/events` says what.

Tables: endpoint, lane, delivery, template, text, follower.

Invariants
  an event that an endpoint wants is delivered at least once, or waits, or is dead
  of a lane an event is sent only when all before it were delivered or are dead
  every send carries the event's id, the same one each time
  a text that may have gone out is never sent again; none goes without consent
  secrets leave in one answer only; nothing is sent to an address that is not public
"""
