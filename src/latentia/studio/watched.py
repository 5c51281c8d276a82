"""A verb of the command line that ends with whoever started it: `python -m … fit digits …`.

The starter holds the other end of standard input. When it closes that, or dies in whatever way,
this process sends itself a SIGTERM, which a training takes as the wish to save and stop.
"""

from __future__ import annotations

import os
import runpy
import signal
import threading


def main() -> None:
    """Run the command line on this process's words."""
    threading.Thread(target=_wait, daemon=True).start()
    runpy.run_module("latentia", run_name="__main__", alter_sys=True)


def _wait() -> None:
    while os.read(0, 1024):
        pass
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    main()
