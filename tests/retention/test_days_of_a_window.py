"""The days of a window are those of the policy under which it began, whatever the policy says by now (P3)."""

from __future__ import annotations

from datetime import date

from services.retention.states import InWindow
from shared.events.platform import WindowChanged
from shared.events.retention import RetentionExpired
from tests.casework import Casework
from tests.retention.language import CLOSES, DAY, OVER, POLICY, casework, contract, performed, terminated

SHORTER = POLICY.model_copy(update={"version": "2027-01", "window_days": 30, "former_versions": (POLICY.version,)})


def moved(work: Casework, last_day: date, name: str) -> None:
    """Let support move the end of the window."""
    work.tell(
        WindowChanged(customer_id="acme", change_id=name, last_day=last_day, changed_by="staff-1", changed_at=work.now)
    )


def begun() -> Casework:
    """Let a window begin under ninety days, and the policy say thirty from the next day on."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(OVER + DAY)
    work.domain = casework(SHORTER).domain
    return work


def test_longer_and_no_longer() -> None:
    """What made a window longer is taken back: it closes when it would have, not when a window would that began now."""
    work = begun()
    moved(work, date(2027, 5, 1), "w1")
    work.until(OVER + 2 * DAY)
    moved(work, date(2027, 1, 5), "w2")

    assert isinstance(work.state, InWindow)
    assert (work.state.window.closes_at, work.state.known.window_days) == (CLOSES, 90)
    work.until(CLOSES + DAY)
    assert work.one(RetentionExpired).window_days == 90
    work.perform(performed)
    assert work.state.known.policy_version == POLICY.version
