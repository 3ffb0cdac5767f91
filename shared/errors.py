"""What an operator can mend: an error whose whole text is meant for a person."""

from __future__ import annotations


class OperatorError(Exception):
    """Something outside the program stops it; the text says what is wrong, where, and what to do.

    The command line prints it without a trace and exits with 1.
    """
