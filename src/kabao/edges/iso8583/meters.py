"""Figures of the POS host, for `/metrics`."""

from __future__ import annotations

from kabao.base.web.metrics import Counts


class Meters:
    """Counts of one process. Labels are closed sets, never values."""

    def __init__(self) -> None:
        self.answers = Counts("kabao_pos_answers", "Messages answered.", ("verb", "outcome"))
        self.reads = Counts(
            "kabao_pos_reads",
            "Cards shown, by how the till read them: reader compatibility (S-19).",
            ("entry", "verb", "outcome"),
        )
        self.faults = Counts(
            "kabao_pos_faults", "Frames and connections that were not right.", ("kind",)
        )

    @property
    def all(self) -> tuple[Counts, ...]:
        """To be registered."""
        return self.answers, self.reads, self.faults
