"""One job, from the file to the file, whatever happens on the way.

A failure stays with its picture: :func:`run_job` returns it as an outcome. Only the user's stop
(KeyboardInterrupt) is not caught.
"""

from __future__ import annotations

import hashlib
import io
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bgkit import deadline
from bgkit.batch.jobs import NOTHING, STRIP, Job, Outcome, Work, plain, stamp_of
from bgkit.batch.memory import forget_peak, peak
from bgkit.batch.places import Place, Url, opened, size_of, write_bytes
from bgkit.batch.sidecar import digests, write_sidecar
from bgkit.batch.strips import strip
from bgkit.deadline import limited
from bgkit.errors import BgkitError, DeadlineError, ImageError
from bgkit.files import digest_of
from bgkit.imagefile import read_bytes, write_picture
from bgkit.layers import Layers
from bgkit.pipeline import Step
from bgkit.removal import read_layers

__all__ = ["run_job", "source_of"]

_CV_NO_MEMORY = -4  # OpenCV's code, of an error of its own
_last: tuple[str, Layers] | None = (
    None  # the key of the picture that this process did last, and what a next frame needs
)
PREVIEW = 500_000  # pixels up to which a reduced picture's way through its pipeline is remembered: some 30 MB
_preview: tuple[str, Layers, list[tuple[Step, Layers]]] | None = None  # key, as it was read, and after each step


def run_job(job: Job, work: Work, on_step: Callable[[str], None] | None = None) -> Outcome:
    """Do one job; ``on_step`` receives the name of each step that is done, ``read`` and ``write`` among them."""
    global _last
    seconds: dict[str, float] = {}
    stamp = stamp_of(job)
    size: tuple[int, int] | None = None
    facts: Mapping[str, Any] = {}
    error = trace = kind = ""
    memory: int | None = None
    written: int | None = None
    hashes: dict[str, Any] = {}
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
            made.save(
                folder / f"{number:02d}-{step.name}-{step.stage.gives}.png", step.stage.gives, metadata=work.metadata
            )

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            with limited(work.timeout):
                started = time.perf_counter()
                picture = source_of(job.picture)
                brought = {name: source_of(place) for name, place in job.brought.items()}
                trail = None
                if 0 < work.pixels <= PREVIEW and isinstance(picture, bytes) and job.page is None:
                    layers, trail = _read_preview(picture, brought, work.pixels)
                else:
                    layers = read_layers(picture, page=job.page, **brought)
                    layers = layers.reduced(work.pixels) if work.pixels else layers
                hashes = digests(job, picture, brought) if work.sidecar else {}
                if hashes and stamp != stamp_of(job):
                    raise ImageError(f"{job.name}: changed while it was read")
                if _last is not None and work.before.get(job.key) == _last[0]:
                    layers = replace(layers, previous=_last[1])
                size, facts = layers.image.shape[:2], layers.facts
                took("read", time.perf_counter() - started)
                _check_deadline("read")
                wanted = (work.layer, *(("image",) if work.before else ()))
                keep = None if work.examine is not None or work.layer == STRIP else wanted
                rows = work.layer == "result" and keep is not None and trail is None and work.steps_folder is None
                held = [layers]
                del layers  # a chain that changes the picture lets go of it as it was
                layers = work.pipeline.run(held.pop(), on_step=after, keep=keep, trail=trail, leave_last=rows)
                size, facts = layers.image.shape[:2], layers.facts
                _last = (job.key, layers.as_previous()) if work.before else None
                memory = peak()
                started = time.perf_counter()
                if work.layer != NOTHING:
                    content = _write(job.output, layers, work)
                    written = len(content) if isinstance(content, bytes) else size_of(content)
                    if work.sidecar:
                        hashes["output_sha256"] = digest_of(content)
                    took("write", time.perf_counter() - started)
                if work.examine is not None:
                    found = work.examine(job, layers)
                if work.layer == NOTHING:
                    took("write", time.perf_counter() - started)
        except BgkitError as wrong:
            error, kind = str(wrong), type(wrong).__name__
        except MemoryError as wrong:
            error, kind = "not enough memory", type(wrong).__name__
        except OSError as wrong:
            error, kind = _reason(wrong), type(wrong).__name__
        except Exception as wrong:  # a bug, in bgkit or a plug-in, must not take the other pictures with it
            error = f"internal error: {type(wrong).__name__}: {' '.join(str(wrong).split())}"
            trace, kind = traceback.format_exc(), type(wrong).__name__
            if getattr(wrong, "code", None) == _CV_NO_MEMORY:
                error, trace, kind = "not enough memory", "", MemoryError.__name__
    outcome = Outcome(
        job,
        "failed" if error else "done",
        error,
        seconds,
        plain(facts),
        tuple(dict.fromkeys(str(warning.message) for warning in caught)),
        size,
        stamp,
        written,
        memory,
        found,
        trace,
        kind,
    )
    if work.sidecar and not error:
        try:
            write_sidecar(outcome, work, hashes)
        except OSError as wrong:
            return replace(outcome, status="failed", error=_reason(wrong))
    return outcome


def _read_preview(picture: bytes, brought: Mapping[str, Any], pixels: int) -> tuple[Layers, list[tuple[Step, Layers]]]:
    """Return reduced layers, and what the last run on them gave step by step.

    Who tries one value after another sends the same picture each time: only what comes after the change is new.
    """
    global _preview
    hashed = [hashlib.sha256(content).hexdigest() for content in (picture, *brought.values())]
    key = f"{pixels} {' '.join(brought)} {' '.join(hashed)}"
    if _preview is None or _preview[0] != key:
        _preview = None  # let go before the next one takes memory
        _preview = (key, read_layers(picture, **brought).reduced(pixels), [])
    return _preview[1], _preview[2]


def _check_deadline(step: str) -> None:
    try:
        deadline.check()
    except DeadlineError as error:
        raise error.at(step) from None


def _reason(error: OSError) -> str:
    return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"


def source_of(place: Any) -> Any:
    """Return what pictures are read from; of a URL, its content under its name, if it begins as a picture and ends."""
    if not isinstance(place, Url):
        return place
    try:
        with opened(place) as file:
            content = io.BytesIO(read_bytes(file, str(place)))
    except OSError as error:
        why = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise ImageError(f"{place}: cannot be read: {why}") from error
    content.name = str(place)
    return content


def _write(output: Place, layers: Layers, work: Work) -> Path | bytes:
    """Write the result, whole or not at all, and return its file, or its content that went to a URL."""
    like, layer = layers.facts.get("input", {}), work.layer
    array = strip(layers) if layer == STRIP else getattr(layers, layer)
    if array is None:  # the last steps were left out
        array = work.pipeline.rows(layers)
    if isinstance(output, Url):
        content = io.BytesIO()
        write_picture(content, array, like=like, format=output.suffix, metadata=work.metadata)
        write_bytes(output, content.getvalue())
        return content.getvalue()
    output.parent.mkdir(parents=True, exist_ok=True)
    write_picture(output, array, like=like, metadata=work.metadata)
    return output
