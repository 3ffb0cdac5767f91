"""Where keys are, and whether there have to be any: asked by whoever may have none, so without what signs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def keys_folder(home: Path, service: str | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """Tell where the keys of *service* are; each service that signs has keys of its own, in a folder of its own.

    ``OFFRAMP_<SERVICE>_KEYS``, else ``<service>-keys`` in *home*; without a service, those that sign certificates:
    ``OFFRAMP_KEYS``, else ``keys``.
    """
    variable = "OFFRAMP_KEYS" if service is None else f"OFFRAMP_{service.upper()}_KEYS"
    name = "keys" if service is None else f"{service}-keys"
    named = (os.environ if environ is None else environ).get(variable)
    return Path(named).expanduser().absolute() if named else home / name


def in_production(environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether this is production (``OFFRAMP_ENV``), where nothing makes keys and nothing goes out unsigned."""
    return (os.environ if environ is None else environ).get("OFFRAMP_ENV") == "production"
