"""Memory that one batch used is there for the next."""

from __future__ import annotations

import subprocess
import sys

_FAULTS = """
from resource import RUSAGE_SELF, getrusage
from shared.garbage import keep_buffers
keep_buffers()
bytearray(8_000_000)
before = getrusage(RUSAGE_SELF).ru_minflt
for _ in range(10):
    bytearray(8_000_000)
print(getrusage(RUSAGE_SELF).ru_minflt - before)
"""


def test_buffers_are_kept() -> None:
    """A large block that was freed and is wanted again isn't fetched from the kernel page by page."""
    done = subprocess.run([sys.executable, "-c", _FAULTS], check=True, capture_output=True, text=True)

    assert int(done.stdout) < 1000
