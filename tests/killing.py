"""Start bgkit and kill it, many times: ``python killing.py ROUNDS SEED PICTURES ARGUMENT...``.

Python and the libraries are loaded once and each run is a fork of that, so that a round takes the time of its
pictures only. A kill comes when a few more results are there and a random moment has passed, so that kills fall
everywhere: while planning, reading, at work, and in the middle of writing. ROUNDS runs are killed; a run that was
done before its kill does not count. When few of the PICTURES are left to do, some results are taken away.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path

ROUNDS, SEED, PICTURES = (int(text) for text in sys.argv[1:4])
OUT = Path(sys.argv[sys.argv.index("-o") + 1])


def results() -> list[Path]:
    """Return the results; hidden files are none."""
    names = (os.path.join(place, name) for place, _, files in os.walk(OUT) for name in files)  # noqa: PTH118
    return sorted(Path(name) for name in names if name.endswith(".png") and "/." not in name)


def run() -> None:
    """Be bgkit, in a process group of its own."""
    os.setpgid(0, 0)
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    from bgkit.cli import app

    os._exit(app.main(sys.argv[4:], standalone_mode=False))


def main() -> None:
    from bgkit.batch import engines, journal, planning, removal, report, running  # noqa: F401
    from bgkit.batch.engines import local  # noqa: F401
    from bgkit.cli import remove  # noqa: F401
    from bgkit.pipelinefile import load_pipeline
    from bgkit.stages import find

    for step in load_pipeline(sys.argv[sys.argv.index("-p") + 1]).steps:
        find(step.name)
    moments, killed = random.Random(SEED), 0
    while killed < ROUNDS:
        standing = results()
        if len(standing) > 0.7 * PICTURES:
            for path in moments.sample(standing, PICTURES // 2):
                path.unlink()
        enough = len(results()) + moments.randrange(0, PICTURES // 20)
        child = os.fork()
        if not child:
            run()
        with contextlib.suppress(OSError):  # whoever comes first
            os.setpgid(child, child)
        limit = time.monotonic() + 60
        while len(results()) < enough and time.monotonic() < limit:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                break
            time.sleep(0.02)
        time.sleep(moments.expovariate(1 / 0.01))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])


if __name__ == "__main__":  # worker processes load this file, too
    main()
