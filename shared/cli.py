"""The command ``offramp``, begun with as little as each of its commands needs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    """Run the command line; an ``OperatorError`` becomes one sentence on stderr and exit code 1."""
    arguments = sys.argv[1:]
    try:
        if arguments[:1] == ["verify"]:
            sys.exit(_verify(arguments[1:]))
        # Loaded here: the library that reads the other commands' arguments, and finding them, takes longer than to
        # check an archive.
        from .commands import run  # noqa: PLC0415

        run(arguments)
    except OperatorError as error:
        print(f"offramp: {error}", file=sys.stderr)
        sys.exit(1)


def _verify(arguments: Sequence[str]) -> int:
    from .verify.commands import main as verify  # noqa: PLC0415 - the other commands don't need it

    try:
        code = verify(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read along has seen enough; at the end Python would try once more to write what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
