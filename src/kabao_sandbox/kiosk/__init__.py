"""A kiosk: a machine that takes banknotes and loads cards, over the platform's HTTP door.

Words
  cassette  where notes lie that were taken: what is truly there, whatever was reported
  escrow    a note is held and can still be given back
  journal   what happened, numbered; written to disk before the note falls into the cassette
  fault     a jam, a cut of the power, a report sent twice, an answer nobody heard
  visit     one customer: a card, some notes, and off

The machine believes nothing that it has not heard: after a cut it asks from which number on it
is to report, and reports it all again. Which card the notes were for stands in the platform; the
customer has gone home by then, so what was not loaded waits there for a person.
"""
