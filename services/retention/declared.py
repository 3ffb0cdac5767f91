"""Puts the retention service's policy together from the two files that declare it."""

from __future__ import annotations

from pathlib import Path

from shared.holder.declaration import AccessHolder, Holder, load_access_holders, load_holders
from shared.policy import load_policy

from .policy import RetentionPolicy


def load_retention_policy(policy: Path, holders: Path) -> RetentionPolicy:
    """Read the policy and the list of holders, which is declared once, for deleting as for checking.

    Raises ``PolicyError`` or ``HoldersError``, naming the field.
    """
    with_data = [_entry(holder, access_only=False) for holder in load_holders(holders)]
    access = [_entry(holder, access_only=True) for holder in load_access_holders(holders)]
    declared = (*with_data, *access)
    return load_policy(policy, "retention", RetentionPolicy, holders=declared)


def _entry(holder: Holder | AccessHolder, *, access_only: bool) -> dict[str, object]:
    return {"name": holder.name, "respond_within": holder.answers_within, "access_only": access_only}
