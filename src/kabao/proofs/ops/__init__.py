"""The verbs: `Proofs` for codes, `Counters` for hits, `SmsTable` for texts that wait."""

from kabao.proofs.ops.codes import Proofs
from kabao.proofs.ops.counters import Counters
from kabao.proofs.ops.sms import SmsTable

__all__ = ["Counters", "Proofs", "SmsTable"]
