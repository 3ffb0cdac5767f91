"""What was asked for is what is made."""

from __future__ import annotations

import pytest

from services.exporter.archive.asked import language_of


@pytest.mark.parametrize(
    ("code", "language"),
    [("sv", "sv"), ("sv-se", "sv"), ("sv-FI", "sv"), ("en", "en"), ("en-gb", "en"), ("svx", "en"), ("de", "en")],
)
def test_the_page_is_in_the_language_whatever_its_region(code: str, language: str) -> None:
    """A language by BCP 47 may name a region; the page is written in Swedish or in English."""
    assert language_of(code) == language
