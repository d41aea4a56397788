"""`topups`: cash, and reading. `online`: money through channels. `refunds`: it goes back.
`recalls`: it is taken back from us. `bonuses`: what is given on top. `terms`: what policy says
about a top-up before it is made.
"""

from kabao.topups.ops.topups import NewTopUp as NewTopUp
from kabao.topups.ops.topups import TopUps as TopUps
