"""Where the policy, the rules, the lists of holders and of destinations are, and where a declared holder is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .holder.declaration import PostgresHolder
    from .settings import Settings

# Read by path only: nothing here knows the deployment's code.
_DEPLOY = Path(__file__).parents[1] / "deploy"


def policy_file(environ: Mapping[str, str] | None = None) -> Path:
    """Tell where the policy is: ``OFFRAMP_POLICY``, else the one of the checkout."""
    return _named("OFFRAMP_POLICY", _DEPLOY / "policy.yaml", environ)


def holders_file(environ: Mapping[str, str] | None = None) -> Path:
    """Tell where the list of holders is: ``OFFRAMP_HOLDERS``, else the one of the checkout."""
    return _named("OFFRAMP_HOLDERS", _DEPLOY / "holders.yaml", environ)


def destinations_file(environ: Mapping[str, str] | None = None) -> Path:
    """Tell where the list of destinations is: ``OFFRAMP_DESTINATIONS``, else the one of the checkout."""
    return _named("OFFRAMP_DESTINATIONS", _DEPLOY / "destinations.yaml", environ)


def rules_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Tell where the rule sets are: ``OFFRAMP_RULES``, else those of the checkout."""
    return _named("OFFRAMP_RULES", _DEPLOY / "rules", environ)


def reading_dsn(settings: Settings, holder: PostgresHolder) -> str:
    """Tell by which URL *holder* is read: ``OFFRAMP_HOLDER_<NAME>_DSN`` with a role that only reads, else its own."""
    own = settings.own_dsns.get(f"holder_{holder.name.replace('-', '_')}")
    return own or settings.dsn(holder.database)


def _named(variable: str, default: Path, environ: Mapping[str, str] | None) -> Path:
    named = (os.environ if environ is None else environ).get(variable)
    return Path(named).expanduser().absolute() if named else default
