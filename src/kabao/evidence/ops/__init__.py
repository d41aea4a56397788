"""The verbs of evidence: `Evidence` signs and proves; `check` needs nothing but a file."""

from kabao.evidence.ops.books import Books
from kabao.evidence.ops.evidence import Evidence
from kabao.evidence.ops.verify import Checked, check, fingerprint, public_key

__all__ = ["Books", "Checked", "Evidence", "check", "fingerprint", "public_key"]
