"""The verbs of funding, one class, and what it is made of.

channels     channels as rows, a snapshot of them, the adapter of each
steps        one step of an order with its effects, in one transaction
collecting   opening and beginning
looking      asking what became of orders, and ending them
crew         who works off what is due, at each channel so much at once
refunding    money back
recalls      money that channels take back from us
watch        how channels do: their figures, shared among processes, and their breakers
router       which channel is taken, within the limits of its day
notices      what channels send by themselves
matching     bills of channels, compared with our books
receiving    what comes to our bank accounts
slips        of terminals that are not connected: each pays once
"""

from kabao.funding.ops.channels import Channels
from kabao.funding.ops.funding import Funding

__all__ = ["Channels", "Funding"]
