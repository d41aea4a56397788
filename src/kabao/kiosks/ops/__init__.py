"""The verbs of kiosks."""

from kabao.kiosks.ops.boxes import BOX
from kabao.kiosks.ops.kiosks import SESSION, Kiosks

__all__ = ["BOX", "SESSION", "Kiosks"]
