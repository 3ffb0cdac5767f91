"""The formats of structured data (P5): one module each, all of them listed here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .csv import Csv
from .format import Counter, Format
from .jsonlines import JsonLines

# In the order in which an archive holds them; the first one is what row counts are shown by.
FORMATS: Mapping[str, Format] = MappingProxyType({one.name: one for one in (Csv(), JsonLines())})

__all__ = ["FORMATS", "Counter", "Format"]
