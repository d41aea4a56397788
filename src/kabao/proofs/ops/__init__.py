"""The verbs: `Proofs` for codes, `Counters` for hits, `SmsTable` for texts that wait, and
`PageTokens` for payment pages.
"""

from kabao.proofs.ops.codes import Proofs
from kabao.proofs.ops.counters import Counters
from kabao.proofs.ops.pages import PageToken, PageTokens
from kabao.proofs.ops.sms import SmsTable

__all__ = ["Counters", "PageToken", "PageTokens", "Proofs", "SmsTable"]
