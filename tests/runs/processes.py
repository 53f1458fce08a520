"""A process of its own, for tests that kill it."""

import contextlib
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


@contextlib.contextmanager
def process(code, *arguments):
    """A Python process that runs `code`; killed and waited for at the end. Its lines are read from `stdout`."""
    started = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        started.stdout.close()
