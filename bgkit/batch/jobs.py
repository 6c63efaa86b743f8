"""What the parts of a batch hand one another: a job to do, the work on each, an outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal

from bgkit.batch.places import Place, Url, place_of, stat_of
from bgkit.deadline import limited
from bgkit.errors import ModelError, ParamError, PipelineError, PlanError
from bgkit.files import METADATA, OPAQUE, WRITABLE
from bgkit.threads import threads

if TYPE_CHECKING:
    from bgkit.layers import Layers
    from bgkit.pipeline import Pipeline

__all__ = ["NOTHING", "STRIP", "Job", "Outcome", "Work", "plain", "shown", "stamp_of"]

NOTHING = ""  # in place of a layer's name: no file is written
STRIP = "strip"  # in place of a layer's name: picture, subject and matte side by side


@dataclass(frozen=True)
class Job:
    """One picture, where its result goes, and the layers that come with it."""

    picture: Place | bytes
    output: Place
    name: str  # of the picture, for messages and reports
    key: str = "picture"  # unique in a batch, without ending: where intermediate pictures go
    brought: Mapping[str, Place | bytes] = field(default_factory=dict)
    page: int | None = None  # of a file of several pictures, from 1; None: the first, and a warning that there are more

    def sources(self) -> list[Place]:
        """Return all that is read for it, but for what is in memory already."""
        picture = place_of(self.name) if isinstance(self.picture, bytes) else self.picture
        return [picture, *(place for place in self.brought.values() if not isinstance(place, bytes))]


@dataclass(frozen=True)
class Work:
    """What is done to each picture.

    ``examine(job, layers)`` is called when the result is written, where the picture was done (so it
    must be able to go to another process); what it returns becomes ``Outcome.found``. With ``sidecar`` a
    file of all that a repeat needs is written beside the result (:mod:`bgkit.batch.sidecar`). Where ``layer`` is
    :data:`NOTHING` no file is written and ``examine`` is all there is. With ``pixels`` the picture and what comes with
    it are reduced to so many first, for a preview. ``timeout`` is the seconds that a picture may take. ``metadata``
    is what of the picture's goes along: ``credit``, ``none`` or ``all``. ``before`` has, of frames of films, the key of
    the frame before; where a process has just done that one, it is the picture's ``previous``.
    """

    pipeline: Pipeline
    layer: str = "result"
    steps_folder: Path | None = None
    examine: Callable[[Job, Layers], Mapping[str, Any]] | None = None
    sidecar: bool = False
    pixels: int = 0
    timeout: float | None = None
    metadata: str = "credit"
    before: Mapping[str, str] = field(default_factory=dict)

    def steps(self, brought: Iterable[str] = ()) -> list[str]:
        """Return the names of all that happens to a picture, in order."""
        return ["read", *(step.name for step in self.pipeline.plan({"image", *brought})), "write"]

    def check(self, brought: Iterable[str] = (), ending: str = "png") -> None:
        """See, before the first pixel, that the pipeline runs with what is brought and gives the layer.

        Raises
        ------
        ParamError
            If ``metadata`` is none of its choices, or ``timeout`` no time.
        PipelineError
            If it does not, or if the files' format has no transparency and the result needs it.
        ModelError
            If a network or its weights are not here.
        """
        if self.metadata not in METADATA:
            raise ParamError(f"metadata: expected one of {', '.join(METADATA)}, got {self.metadata!r}")
        with limited(self.timeout):
            steps = self.pipeline.plan({"image", *brought})
        for step in steps:
            step.stage.check(step.values)  # defaults too: a network that nobody named may have lost its weights
        given = {step.stage.gives for step in steps} | set(brought)
        given |= {"alpha"} if "mask" in given else set()
        wanted = "alpha" if self.layer == STRIP else self.layer
        if wanted not in given:
            there = ", ".join(sorted(given))
            raise PipelineError(f"the pipeline {self.pipeline.name!r} makes no layer {wanted!r} (it makes: {there})")
        remedies = {
            "result": ("background", "choose a background, as in --background white"),
            "background": ("fill", "fill the hole, as in --set drop_subject.fill=telea"),
        }
        if WRITABLE.get(f".{ending}") in OPAQUE and self.layer in remedies:
            word, remedy = remedies[self.layer]
            chosen = [step.values[word] for step in steps if word in step.values and step.stage.gives == self.layer]
            if chosen[-1:] == ["none"]:
                raise PipelineError(f"a {ending} has no transparency; {remedy}, or png")

    def start_networks(self) -> None:
        """Load each network that does not come with bgkit or runs elsewhere, so that none stops a batch halfway.

        Raises
        ------
        ModelError
            If ONNX Runtime cannot load it: weights that are missing or cut, operators that it does not know, a provider
            that is not here.
        """
        from bgkit.models.session import network, start  # loads ONNX Runtime, which checking alone does without
        from bgkit.models.store import WEIGHTS, locate

        for step in self.pipeline.steps:
            if "model" not in step.values:
                continue
            model, provider = str(step.values["model"]), str(step.values.get("provider", "cpu"))
            card, path = locate(model)
            if path.parent != WEIGHTS or provider != "cpu":
                try:
                    if card.inferred:  # what was assumed of a bare file is a warning of the first picture
                        start(path, provider)
                    else:
                        network(model, provider=provider)
                except ModelError as error:
                    raise error.at(f"{step.name}.model") from None

    def load_networks(self, brought: Iterable[str] = ()) -> None:
        """Begin to load bgkit's own networks, which take 0.1 s, while a picture with what is ``brought`` is read.

        What goes wrong there is raised when the network is run.
        """
        from bgkit.models.session import network
        from bgkit.models.store import WEIGHTS, locate

        def load() -> None:
            with suppress(Exception):
                for name in names:
                    network(name)

        steps = [step.values for step in self.pipeline.plan({"image", *brought}) if "model" in step.values]
        names = [str(values["model"]) for values in steps if values.get("provider", "cpu") == "cpu"]
        names = [name for name in names if locate(name)[1].parent == WEIGHTS]
        if names and threads() > 1:
            Thread(target=load).start()

    def check_sizes(self, jobs: Iterable[Job]) -> None:
        """See, before the first pixel, by the headers that results fit their formats (0.2 ms for each picture).

        Pictures from URLs and pipes are left out, and pipelines that set the subject into a frame.

        Raises
        ------
        PlanError
            For the first that is too large.
        """
        from bgkit.imagefile import LONGEST, header_size  # loads NumPy, which the command line's help does without

        if self.layer == "result" and any(step.name == "frame" for step in self.pipeline.steps):
            return
        for job in jobs:
            most = LONGEST.get(job.output.suffix.lower())
            size = header_size(job.picture) if most and isinstance(job.picture, Path) else None
            if most and size and max(size[0], size[1] * (3 if self.layer == STRIP else 1)) > most:
                form = job.output.suffix
                raise PlanError(
                    f"{shown(job.name)}: has {size[0]} x {size[1]} pixels (rows x columns), and {form} holds at most "
                    f"{most} rows and columns; write png or tif"
                )


@dataclass(frozen=True)
class Outcome:
    """What became of a job. ``seconds`` has an entry for reading, each stage and writing."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    error: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    size: tuple[int, int] | None = None  # rows, columns
    stamp: tuple[int, int] | None = None  # of the picture's file, before it was read: bytes, ns
    written: int | None = None  # bytes of the result
    memory: int | None = None  # the most the process held meanwhile, bytes, libraries included
    found: Mapping[str, Any] = field(default_factory=dict)  # by Work.examine
    trace: str = ""  # of an error that is bgkit's own fault
    kind: str = ""  # of the error: the name of its class

    @property
    def flags(self) -> list[str]:
        """A line for each finding that is flagged."""
        from bgkit.findings import flag_lines  # loads NumPy, which the command line's help does without

        return flag_lines(self.facts.get("findings", {}))


def shown(name: object) -> str:
    """Return a file's name for a terminal: on one line, and in characters that can be written.

    >>> print(shown("two\\nlines"))
    two\\nlines
    """
    text = str(name).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def plain(value: Any) -> Any:
    """Return facts in forms that JSON and another process can hold: of bytes (a color profile), their number."""
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if hasattr(value, "tolist"):  # a NumPy number or array
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def stamp_of(job: Job) -> tuple[int, int] | None:
    """Return size and time of change (ns) of a job's picture, by which a change is noticed; None for a pipe.

    Of a URL it is what the store said when the folder was listed.
    """
    if isinstance(job.picture, bytes):
        return None
    return job.picture.stamp if isinstance(job.picture, Url) else stat_of(job.picture)
