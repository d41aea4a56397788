"""A floor of tills: terminals over real sockets, each with a cashier's day.

Words
  site      where the host listens, which terminals there are, and cards to pay with
  line      one terminal's connection; it does what a bad line does, on purpose
  fault     a lost or late answer, a message sent twice, a reversal that comes before its
            original, a wrong MAC, garbage
  journal   what a terminal knows to have happened in its batch; its totals come from here
  bent      a batch whose totals are made wrong before it is settled, so that it is uploaded
  defect    an answer that must not be: the one thing a run is judged by

A terminal believes nothing that it has not heard. A sale without an answer is asked for
again or reversed; at the end of the day the journal's totals and the host's must be equal.
"""
