"""How fast a large customer's rows may go, so that nobody else waits for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Up to *whole_up_to* rows go in one transaction; more go *batch_rows* at a time.

    *share* (above 0, at most 1) is the part of the time in which batches run; the rest is left to others and to vacuum.
    A deletion has days to end and others' requests have not, so half of the time is theirs unless somebody says so.
    """

    whole_up_to: int = 50_000
    batch_rows: int = 10_000
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.whole_up_to < 0 or self.batch_rows < 1 or not 0 < self.share <= 1:
            raise ValueError(f"{self}: batches need at least one row, and a share is above 0 and at most 1")

    @property
    def rests(self) -> bool:
        """Tell whether others are left any time."""
        return self.share < 1

    def rest(self, seconds: float) -> float:
        """Give the seconds to rest after a batch that took *seconds*."""
        return seconds * (1 / self.share - 1)
