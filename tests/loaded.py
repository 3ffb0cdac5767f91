"""What a command has loaded when it is done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

_RUN = """
import json, sys
begun = set(sys.modules)
from shared.cli import main
ended = None
try:
    main()
except SystemExit as exit:
    ended = exit.code
print(json.dumps({"exit": ended or 0, "loaded": sorted(set(sys.modules) - begun)}))
"""


def loaded_by(*command: str, home: Path, code: int = 0) -> set[str]:
    """Run ``offramp`` in a process of its own, which ends with *code*; give the modules that it loaded."""
    environment = {name: value for name, value in os.environ.items() if name != "OFFRAMP_EXPORTER_KEYS"}
    words = [sys.executable, "-c", _RUN, *command]
    done = subprocess.run(words, env=environment | {"OFFRAMP_HOME": str(home)}, capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["exit"] == code, done.stderr
    return set(told["loaded"])
