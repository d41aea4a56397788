"""What `/metrics` tells of payment channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kabao.base.ids import to_edge
from kabao.base.web.metrics import Levels
from kabao.funding.model.channels import CHANNEL
from kabao.funding.model.health import PPM, Circuit
from kabao.funding.ops import Funding
from kabao.funding.ops.watch import Health

CIRCUIT = {Circuit.CLOSED: 0, Circuit.HALF_OPEN: 1, Circuit.OPEN: 2}


def channel_levels(funding: Funding) -> list[Levels]:
    """How each channel does, as this process sees it."""

    def read(figure: Callable[[Health], float]) -> Iterable[tuple[tuple[str, ...], float]]:
        for channel in funding.channels.all():
            labels = (to_edge(CHANNEL, channel.id), channel.name)
            yield labels, figure(funding.watch.of(channel.id))

    labels = ("channel", "name")
    return [
        Levels(
            "kabao_channel_success_ratio",
            "Estimated share of calls that succeed.",
            labels,
            lambda: read(lambda health: health.success / PPM),
        ),
        Levels(
            "kabao_channel_circuit",
            "The circuit breaker: 0 closed, 1 half-open, 2 open.",
            labels,
            lambda: read(lambda health: CIRCUIT[health.circuit]),
        ),
        Levels(
            "kabao_channel_limit_lowered",
            "Whether the daily limit is lowered because too many calls fail.",
            labels,
            lambda: read(lambda health: health.standing.lowered),
        ),
    ]
