"""Liveness is progress, not a ping: each part says when it last got through its loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Progress:
    """When each part of a worker last got through its loop, in seconds of the monotonic clock.

    *limits*: part to the number of seconds after which it counts as stuck. An outage is not being stuck: a part
    that waits for the database or Kafka still goes round.
    """

    limits: dict[str, float]
    monotonic: Callable[[], float] = time.monotonic
    _last: dict[str, float] = field(default_factory=dict)
    _troubles: dict[str, str] = field(default_factory=dict)

    def made(self, part: str, trouble: str | None = None) -> None:
        """Note that *part* went round; *trouble* names the outage that it is waiting out, if any."""
        self._last[part] = self.monotonic()
        if trouble is None:
            self._troubles.pop(part, None)
        else:
            self._troubles[part] = trouble

    def ages(self) -> dict[str, float]:
        """Give the seconds since each part last got through its loop."""
        now = self.monotonic()
        return {part: now - since for part, since in self._last.items()}

    def stuck(self) -> dict[str, float]:
        """Give the parts that made no progress for longer than their limit, with the seconds since."""
        now = self.monotonic()
        ages = {part: now - self._last.get(part, now) for part in self.limits}
        return {part: age for part, age in ages.items() if age > self.limits[part]}

    def troubles(self) -> dict[str, str]:
        """Give the outages that parts are waiting out; while there is one the worker is not ready."""
        missing = {part: "not started" for part in self.limits if part not in self._last}
        return missing | self._troubles
