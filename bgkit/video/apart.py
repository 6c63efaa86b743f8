"""Frames in a process of their own, for films whose frames may take so long only.

A pipeline looks at its deadline between stages and inside networks. A stage that hangs in other code does not, and a
thread cannot be ended, but a process can. It keeps its networks from frame to frame; the frame after one that was
ended waits for a new one.
"""

from __future__ import annotations

import time
import warnings
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self

from bgkit.batch.jobs import Work
from bgkit.batch.processes import for_children
from bgkit.deadline import late
from bgkit.errors import VideoError
from bgkit.layers import Layers
from bgkit.threads import set_threads, threads

__all__ = ["Apart"]

GRACE = 2.0  # seconds for a frame to stop by itself, which keeps the process


class Apart:
    """A process that runs the pipeline of ``work`` on one frame after the other, and is ended by ``work.timeout``."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._line: Connection | None = None
        self._process: BaseProcess | None = None

    def run(self, layers: Layers, keep: tuple[str, ...], brought: dict[str, Any]) -> Layers:
        """Return what the pipeline makes of a frame.

        Raises
        ------
        DeadlineError
            With the stage that was ended.
        VideoError
            If the process died.
        Exception
            As the pipeline raises it.
        """
        assert self.work.timeout is not None
        line = self._line or self._start()
        given = {name: getattr(layers, name) for name in layers.given()}
        before = layers.previous
        last = None if before is None else {name: getattr(before, name) for name in before.given()}
        done: list[str] = []
        answer: tuple[str, Any] | None = None
        end: float | None = None  # no limit until the process has loaded what it needs
        try:
            line.send((given, last, keep, brought))
            while answer is None and line.poll(None if end is None else max(0.0, end - time.monotonic())):
                kind, content = line.recv()
                if kind == "begun":
                    end = time.monotonic() + self.work.timeout + GRACE
                elif kind == "step":
                    done.append(content)
                else:
                    answer = kind, content
        except (EOFError, OSError):
            raise VideoError(f"the process that does the frames died ({self._end()}); perhaps out of memory") from None
        if answer is not None:
            kind, content = answer
            if kind == "failed":  # a DeadlineError is an OSError, too, and no death of the process
                raise content
            made, facts, heard = content
            for text in heard:
                warnings.warn(text, UserWarning, stacklevel=2)
            return Layers(**made, facts=facts)
        self._end(kill=True)
        steps = [step.name for step in self.work.pipeline.plan((*given, *brought))]
        raise late(self.work.timeout).at(steps[min(len(done), len(steps) - 1)])

    def _start(self) -> Connection:
        context = get_context("spawn")
        self._line, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self.work, threads()), daemon=True)
        with for_children(threads()):
            self._process.start()
        theirs.close()
        return self._line

    def _end(self, *, kill: bool = False) -> str:
        """Let the process go, and return how it ended."""
        process, line, self._process, self._line = self._process, self._line, None, None
        if line is not None:
            line.close()
        if process is None:
            return ""
        if kill:
            process.kill()
        process.join(10)
        code = process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(kill=True)


def _serve(line: Connection, work: Work, share: int) -> None:
    """Do frames until the parent hangs up."""
    set_threads(share)
    work.start_networks()
    try:
        while True:
            given, last, keep, brought = line.recv()
            line.send(("begun", None))
            layers = Layers(**given, previous=None if last is None else Layers(**last))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    made = work.pipeline.run(
                        layers,
                        timeout=work.timeout,
                        keep=keep,
                        on_step=lambda step, *_: line.send(("step", step.name)),
                        **brought,
                    )
                except Exception as error:
                    line.send(("failed", error))
                    continue
            heard = [str(each.message) for each in caught if each.category is UserWarning]
            arrays = {name: getattr(made, name) for name in made.given()}
            line.send(("made", (arrays, dict(made.facts), heard)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
