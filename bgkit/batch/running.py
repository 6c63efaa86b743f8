"""One job, from the file to the file, whatever happens on the way.

A failure stays with its picture: :func:`run_job` returns it as an outcome. Only the user's stop
(KeyboardInterrupt) goes through.
"""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from bgkit.batch.jobs import STRIP, Job, Outcome, Work, plain, stamp_of
from bgkit.batch.memory import forget_peak, peak
from bgkit.errors import BgkitError
from bgkit.evaluate.strips import strip
from bgkit.imagefile import write_picture
from bgkit.layers import Layers
from bgkit.pipeline import Step
from bgkit.removal import read_layers

__all__ = ["run_job"]


def run_job(job: Job, work: Work, on_step: Callable[[str], None] | None = None) -> Outcome:
    """Do one job; ``on_step`` is told the name of each step that is done, ``read`` and ``write`` among them."""
    seconds: dict[str, float] = {}
    stamp, layers = stamp_of(job), None
    error = trace = ""
    memory: int | None = None
    found: Mapping[str, Any] = {}
    forget_peak()

    def took(name: str, duration: float) -> None:
        count = sum(1 for key in seconds if key.partition("#")[0] == name)
        seconds[f"{name}#{count + 1}" if count else name] = duration
        if on_step is not None:
            on_step(name)

    def after(step: Step, made: Layers, duration: float) -> None:
        took(step.name, duration)
        if work.steps_folder is not None:
            folder = work.steps_folder / job.key
            folder.mkdir(parents=True, exist_ok=True)
            number = len(seconds) - 1  # reading came first
            made.save(folder / f"{number:02d}-{step.name}-{step.stage.gives}.png", step.stage.gives)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            started = time.perf_counter()
            layers = read_layers(job.picture, **job.brought)
            took("read", time.perf_counter() - started)
            layers = work.pipeline.run(layers, on_step=after)
            memory = peak()
            started = time.perf_counter()
            job.output.parent.mkdir(parents=True, exist_ok=True)
            if work.layer == STRIP:
                write_picture(job.output, strip(layers), like=layers.facts.get("input", {}))
            else:
                layers.save(job.output, work.layer)
            took("write", time.perf_counter() - started)
            if work.examine is not None:
                found = work.examine(job, layers)
        except BgkitError as wrong:
            error = str(wrong)
        except MemoryError:
            error = "not enough memory"
        except OSError as wrong:
            error = f"{wrong.strerror or wrong}{f': {wrong.filename}' if wrong.filename else ''}"
        except Exception as wrong:  # a bug, in bgkit or a plug-in, must not take the other pictures with it
            error = f"internal error: {type(wrong).__name__}: {' '.join(str(wrong).split())}"
            trace = traceback.format_exc()
    return Outcome(
        job,
        "failed" if error else "done",
        error,
        seconds,
        plain(layers.facts) if layers is not None else {},
        tuple(dict.fromkeys(str(warning.message) for warning in caught)),
        (layers.image.shape[0], layers.image.shape[1]) if layers is not None else None,
        stamp,
        memory,
        found,
        trace,
    )
