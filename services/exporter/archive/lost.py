"""Objects that are not in the archive as the rows say, which every report and page must tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Loss: TypeAlias = Literal["missing", "differing", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Lost:
    """So many *objects* to which the column *place* refers are missing, differ or lie elsewhere; the map says why."""

    place: str
    outcome: Loss
    objects: int
    reason: str
