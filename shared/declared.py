"""Where the files are that lawyers and platform teams keep: the policy and the list of holders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

# Read by path only: nothing here knows the deployment's code.
_DEPLOY = Path(__file__).parents[1] / "deploy"


def policy_file(environ: Mapping[str, str] | None = None) -> Path:
    """Tell where the policy is: ``OFFRAMP_POLICY``, else the one of the checkout."""
    return _named("OFFRAMP_POLICY", _DEPLOY / "policy.yaml", environ)


def holders_file(environ: Mapping[str, str] | None = None) -> Path:
    """Tell where the list of holders is: ``OFFRAMP_HOLDERS``, else the one of the checkout."""
    return _named("OFFRAMP_HOLDERS", _DEPLOY / "holders.yaml", environ)


def _named(variable: str, default: Path, environ: Mapping[str, str] | None) -> Path:
    named = (os.environ if environ is None else environ).get(variable)
    return Path(named).expanduser().absolute() if named else default
