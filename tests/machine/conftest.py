"""The toy service's events belong to the language only while a test of the machine runs."""

from __future__ import annotations

import pytest

from shared.events.catalogue import EVENTS
from tests.machine.toy import TOYS


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    for toy in TOYS:
        monkeypatch.setitem(EVENTS, toy.type(), toy)
