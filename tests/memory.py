"""How much memory a piece of code takes, measured in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

_PEAK = "\nimport resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"


def peak_bytes(code: str, *words: object) -> int:
    """Of a process that runs `code` with `words` as arguments (Linux counts in kilobytes)."""
    command = [sys.executable, "-c", code + _PEAK, *map(str, words)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) * 1024
