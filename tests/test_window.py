"""The window's arithmetic, and the policy that says how long it is."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.exporter.policy import ExporterPolicy
from services.notice.policy import NoticePolicy, load_notice_policy
from services.retention.declared import load_retention_policy
from shared.contracts import Contract, Ending, covers
from shared.days import first_moment
from shared.policy import PolicyError, PolicyPart, load_policy
from shared.window import window_of
from tests.casework import at

DEPLOY = Path(__file__).parents[1] / "deploy"
ZONES = ("Europe/Stockholm", "America/Sao_Paulo", "Pacific/Apia", "UTC")


def over(moment: datetime, zone: str = "Europe/Stockholm", contract_id: str = "c1") -> Contract:
    """Give a contract that is over since *moment*."""
    return Contract(
        contract_id, zone, ending=Ending(decided=False, period_end=date(2026, 12, 31), terminated_at=moment, zone=zone)
    )


@pytest.mark.parametrize(
    ("terminated_at", "last_day"),
    [
        ("2027-01-01T00:00", date(2027, 4, 1)),
        # Ended in the middle of a day: that day isn't counted.
        ("2027-01-01T13:00", date(2027, 4, 1)),
        # Over a leap day, and over both changes of the clocks.
        ("2028-01-01T00:00", date(2028, 3, 31)),
        ("2026-09-01T00:00", date(2026, 11, 30)),
    ],
)
def test_ninety_full_days(terminated_at: str, last_day: date) -> None:
    """The window is open to the end of the 90th day after the day of the termination, by the contract's calendar."""
    window = window_of((over(at(terminated_at)),), 90)

    assert window is not None
    assert (window.last_day, window.closes_at) == (
        last_day,
        first_moment(last_day + timedelta(days=1), "Europe/Stockholm"),
    )


def test_the_last_of_several() -> None:
    """With several contracts the window opens with the last termination and closes when the last of theirs would."""
    west, east = over(at("2027-01-01T00:00"), "America/Sao_Paulo"), over(at("2027-01-01T00:00"), contract_id="c2")
    window = window_of((west, east), 90)

    assert window is not None
    # It was still 31 December in São Paulo, so its 90th day is a day earlier.
    assert window.last_day == date(2027, 4, 1)


@given(st.integers(0, 10 * 365 * 24), st.sampled_from(ZONES), st.integers(90, 400))
def test_never_less_than_promised(hours: int, zone: str, days: int) -> None:
    """The window is never shorter than its days, but for the hour that a change of the clocks may take."""
    terminated_at = at("2024-01-01T00:00", zone) + timedelta(hours=hours)
    window = window_of((over(terminated_at, zone),), days)

    assert window is not None
    assert window.closes_at - terminated_at >= timedelta(days=days) - timedelta(hours=1)
    assert window.closes_at - terminated_at <= timedelta(days=days + 1, hours=1)


@pytest.mark.parametrize(
    ("decided", "ended_by", "start", "end", "covered"),
    [
        # By the calendar: whatever ends by then is over, and nothing that goes on longer.
        (False, date(2026, 12, 31), date(2026, 1, 1), date(2026, 12, 31), True),
        (False, date(2026, 12, 31), date(2026, 1, 1), date(2027, 1, 1), False),
        # By decision in the middle of 2026: what had begun is over, however long it would have lasted.
        (True, date(2026, 6, 30), date(2026, 1, 1), date(2029, 12, 31), True),
        (True, date(2026, 6, 30), date(2026, 7, 1), date(2026, 12, 31), False),
    ],
)
def test_what_an_ending_covers(*, decided: bool, ended_by: date, start: date, end: date, covered: bool) -> None:
    """An ending ends the period that it is about, and not one that the contract is registered for anew."""
    ending = Ending(decided=decided, period_end=ended_by, terminated_at=at("2026-07-01T00:00"), zone="Europe/Stockholm")

    assert covers(ending, start, end, "Europe/Stockholm") is covered


_PARTS: dict[str, type[PolicyPart]] = {"notice": NoticePolicy, "exporter": ExporterPolicy}


def _load(path: Path, service: str) -> PolicyPart:
    if service == "notice":
        return load_notice_policy(path, DEPLOY / "rules")
    if service == "retention":
        return load_retention_policy(path, DEPLOY / "holders.yaml")
    return load_policy(path, service, _PARTS[service])


def _written(folder: Path, service: str, name: str, value: object) -> Path:
    """Write the policy with one value changed, or left out."""
    policy = yaml.safe_load((DEPLOY / "policy.yaml").read_text(encoding="utf-8"))
    section = policy[service] if name in policy[service] else policy
    if value is ...:
        del section[name]
    else:
        section[name] = value
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump(policy), encoding="utf-8")
    return path


@pytest.mark.parametrize("value", [..., None, 89, 0, -90, "ninety", True])
@pytest.mark.parametrize("service", ["exporter", "retention"])
def test_window_days(tmp_path: Path, service: str, value: object) -> None:
    """Fewer than 90 days, or none, stop the service before it starts, with the field's name (P3)."""
    path = _written(tmp_path, service, "window_days", value)
    with pytest.raises(PolicyError, match=rf"policy.yaml: {service}.window_days: "):
        _load(path, service)


@pytest.mark.parametrize(
    ("service", "name"),
    [(service, name) for service, part in _PARTS.items() for name in part.model_fields if name != "rule_sets"]
    + [("retention", name) for name in ("version", "window_days", "retry_after", "bystanders", "announce_before")],
)
@pytest.mark.parametrize("value", [..., None])
def test_nothing_is_guessed(tmp_path: Path, service: str, name: str, value: object) -> None:
    """No value of the policy has a default: a missing or an empty one stops the service, and is named."""
    path = _written(tmp_path, service, name, value)
    with pytest.raises(PolicyError, match=rf"{service}.{name}: "):
        _load(path, service)


def test_misspelt(tmp_path: Path) -> None:
    """A value that nobody reads is an error, not silence."""
    path = _written(tmp_path, "notice", "unknown_contract_wait", "P1D")
    path.write_text(path.read_text(encoding="utf-8").replace("unknown_notice_wait", "unkown"), encoding="utf-8")
    with pytest.raises(PolicyError, match=r"notice.unkown: "):
        _load(path, "notice")


def test_holders_are_declared_once(tmp_path: Path) -> None:
    """Whom to command is declared in one file, so that what is deleted and what is checked can't differ."""
    policy = yaml.safe_load((DEPLOY / "policy.yaml").read_text(encoding="utf-8"))
    policy["retention"]["holders"] = []
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(policy), encoding="utf-8")
    with pytest.raises(PolicyError, match=r"retention.holders: is declared in another file"):
        load_retention_policy(path, DEPLOY / "holders.yaml")
