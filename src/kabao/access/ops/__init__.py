"""The verbs of access: `Access`, and what it is made of."""

from kabao.access.ops.access import Access
from kabao.access.ops.approvals import Approvals
from kabao.access.ops.keys import Issued, Keys
from kabao.access.ops.log import AuditLog
from kabao.access.ops.operators import Changed, Invited, Operators
from kabao.access.ops.passwords import Passwords
from kabao.access.ops.ring import REFRESH_S, TRUST_S, Ring
from kabao.access.ops.sessions import Sessions

__all__ = [
    "REFRESH_S",
    "TRUST_S",
    "Access",
    "Approvals",
    "AuditLog",
    "Changed",
    "Invited",
    "Issued",
    "Keys",
    "Operators",
    "Passwords",
    "Ring",
    "Sessions",
]
