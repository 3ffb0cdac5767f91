"""Puts the retention service's policy together from the two files that declare it."""

from __future__ import annotations

from pathlib import Path

from shared.holder.declaration import load_holders
from shared.policy import load_policy

from .policy import RetentionPolicy


def load_retention_policy(policy: Path, holders: Path) -> RetentionPolicy:
    """Read the policy and the list of holders, which is declared once, for deleting as for checking.

    Raises ``PolicyError`` or ``HoldersError``, naming the field.
    """
    declared = tuple({"name": holder.name, "respond_within": holder.answers_within} for holder in load_holders(holders))
    return load_policy(policy, "retention", RetentionPolicy, holders=declared)
