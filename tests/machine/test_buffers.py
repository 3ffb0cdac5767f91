"""Memory that one batch used is there for the next; a part's is given back."""

from __future__ import annotations

import subprocess
import sys

import pytest

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


_LEFT = """
import sys
from shared.garbage import return_parts
if sys.argv[1] == "returned":
    return_parts()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
small = []
before = resident()
for _ in range(4):
    part = b"x" * (6 << 20)
    small.append(b"x" * 100_000)
    del part
print(resident() - before - sum(map(len, small)))
"""


@pytest.mark.parametrize(("way", "kept"), [("returned", False), ("usual", True)])
def test_parts_are_given_back(way: str, *, kept: bool) -> None:
    """A block as large as a part leaves nothing behind when it is freed, though small ones came after it."""
    done = subprocess.run([sys.executable, "-c", _LEFT, way], check=True, capture_output=True, text=True)

    assert (int(done.stdout) > 5 << 20) == kept
