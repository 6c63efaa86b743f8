"""Several pipelines over the same pictures: the runs that ``bgkit compare`` judges.

Each variant (a pipeline, with the values of a sweep) is a batch of its own, so that a worker process
holds one variant's networks only. What became of each picture is written to a journal in the report's
folder at once, by variant and picture, and not done again when nothing it depends on was changed.

Below the report's folder, ``layers/VARIANT/PICTURE/`` gets ``alpha.png``, ``cutout.png`` and, where
the pipeline finishes a picture, ``result.png``; ``layers/consensus/PICTURE/`` what they agree on;
``thumbnails/`` gets what the report shows.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit import __version__
from bgkit.batch import strips
from bgkit.batch.engines.local import Local
from bgkit.batch.jobs import Job, Outcome, Work
from bgkit.comparison.confidence import confidence
from bgkit.comparison.signs import signs
from bgkit.errors import BgkitError, PipelineError, PlanError
from bgkit.evaluate.metrics import score
from bgkit.evaluate.samples import Sample
from bgkit.files import LEFT_BEHIND, JsonLines, Lock, digest_of, read_lines
from bgkit.imagefile import write_picture
from bgkit.layers import Layers
from bgkit.pairing import frames_before, natural
from bgkit.pipeline import Pipeline
from bgkit.pipelinefile import load_pipeline
from bgkit.stage import PREVIOUS

__all__ = [
    "JOURNAL",
    "MANY",
    "PREVIEW",
    "Examination",
    "Variant",
    "count_variants",
    "folder_of",
    "make_variants",
    "run_variants",
    "thumbnail",
    "write_thumbnail",
]

JOURNAL = "journal.jsonl"
LOCK = ".bgkit.lock"
PREVIEW = 480  # px, the long side of what the report shows


@dataclass(frozen=True)
class Variant:
    """A pipeline with the values that a sweep chose."""

    pipeline: Pipeline
    base: str  # the pipeline's name as it was given
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people read: ``auto dense_crf.iterations=3``."""
        return " ".join([self.base, *(f"{key}={value}" for key, value in self.values.items())])

    @cached_property
    def models(self) -> tuple[Mapping[str, Any], ...]:
        """The networks it runs: name, checksum, license, and whether commercial use is allowed."""
        from bgkit.models.store import resolve

        found = []
        for step in self.pipeline.steps:
            if "model" in step.values:
                card, path = resolve(str(step.values["model"]))
                facts = {"name": card.name, "sha256": digest_of(path), "license": card.license.name, "use": card.use}
                found.append(facts | {"stage": step.name})
        return tuple(found)

    @cached_property
    def digest(self) -> str:
        """Equal for variants that do the same, networks included."""
        sums = [model["sha256"] for model in self.models]
        return hashlib.sha256("\n".join([self.pipeline.dump(), *sums]).encode()).hexdigest()

    @property
    def id(self) -> str:
        """Its folder's name."""
        return f"{re.sub(r'[^A-Za-z0-9=._-]+', '_', self.name)[:60].strip('._')}-{self.digest[:8]}"


MANY = 1000  # variants that nobody compares by mistake


def make_variants(
    pipelines: Sequence[str], sweeps: Sequence[str] = (), most: int = MANY
) -> tuple[list[Variant], list[str]]:
    """Load pipelines and spread them over the grid of all sweeps.

    Parameters
    ----------
    pipelines : sequence of str
        Names of shipped pipelines, or YAML files.
    sweeps : sequence of str
        ``STAGE.PARAM=a,b,c``; a pipeline without the stage is taken as it is. Where a value itself has a
        comma, ``;`` parts them.
    most : int
        More variants than that are refused.

    Returns
    -------
    variants
        Each once, though two names or values may do the same.
    notes
        What was left out for that.

    Raises
    ------
    PipelineError, ParamError
        If a pipeline or a value is wrong, or no pipeline has the stage.
    """
    axes = dict(_read_sweep(text) for text in sweeps)
    if len(axes) < len(sweeps):
        raise PipelineError("--sweep: the same parameter twice; give all its values in one")
    variants: dict[str, Variant] = {}
    notes: list[str] = []
    unused = set(axes)
    count = count_variants(pipelines, sweeps)
    if count > most:
        raise PlanError(f"--sweep: makes {count} variants, more than {most}; give fewer values, or --yes")
    for source in pipelines:
        pipeline = load_pipeline(source)
        stages = {step.name for step in pipeline.steps}
        own = {key: values for key, values in axes.items() if key.partition(".")[0].partition("#")[0] in stages}
        unused -= own.keys()
        for chosen in itertools.product(*own.values()):
            values = dict(zip(own, chosen, strict=True))
            variant = Variant(pipeline.with_values(values), pipeline.name, values)
            same = variants.setdefault(variant.digest, variant)
            if same is not variant:
                notes.append(f"{variant.name}: left out, it does the same as {same.name}")
    if unused:
        raise PipelineError(f"--sweep {sorted(unused)[0]}: no pipeline given has this stage")
    return _told_apart(list(variants.values())), notes


def count_variants(pipelines: Sequence[str], sweeps: Sequence[str]) -> int:
    """Return how many variants there are at most: some may turn out to do the same."""
    return len(pipelines) * math.prod(len(_read_sweep(text)[1]) for text in sweeps)


def _read_sweep(text: str) -> tuple[str, list[str]]:
    key, equals, values = text.partition("=")
    parts = [part.strip() for part in values.split(";" if ";" in values else ",")]
    if not equals or "." not in key or not all(parts):
        raise PipelineError(f"--sweep {text}: expected STAGE.PARAM=a,b,c")
    return key.strip(), parts


def _told_apart(variants: list[Variant]) -> list[Variant]:
    """Number the bases of different pipelines that have the same name (``a/mine.yaml``, ``b/mine.yaml``)."""
    names = [variant.name for variant in variants]
    return [
        variant
        if names.count(variant.name) == 1
        else Variant(variant.pipeline, f"{variant.base}#{names[: index + 1].count(variant.name)}", variant.values)
        for index, variant in enumerate(variants)
    ]


def folder_of(report: Path, variant: str, picture: str) -> Path:
    """Return where the layers of a result lie."""
    return report / "layers" / variant / picture


def thumbnail(report: Path, kind: str, picture: str) -> Path:
    """Return where a thumbnail lies; ``kind`` is a variant's id, or ``picture``, ``truth``, ``disagreement``."""
    path = report / "thumbnails" / kind / picture
    return path.with_name(path.name + ".webp")


@dataclass(frozen=True)
class Examination:
    """What is done with the layers of each result, in the process that made it."""

    report: Path
    variant: str
    metrics: tuple[str, ...]
    samples: Mapping[str, Sample]

    def __call__(self, job: Job, layers: Layers) -> dict[str, Any]:
        """Write layers and thumbnails; return scores, signs and confidence, or why there is no score."""
        assert layers.alpha is not None and isinstance(job.output, Path)
        sample = self.samples[job.key]
        color = layers.image if layers.foreground is None else layers.foreground
        cutout = np.dstack([color, layers.alpha])
        write_picture(job.output.with_name("cutout.png"), cutout, depth=8)
        if layers.result is not None:
            layers.save(job.output.with_name("result.png"), depth=8)
        write_thumbnail(thumbnail(self.report, self.variant, job.key), cutout)
        write_thumbnail(thumbnail(self.report, "picture", job.key), layers.image)
        seen = signs(layers)
        found: dict[str, Any] = {"signs": seen, "confidence": confidence(seen), "scores": {}, "problem": ""}
        if not sample.has_truth:
            return found
        try:
            truth = sample.read_truth()
        except BgkitError as error:
            return found | {"problem": str(error)}
        if truth.shape != layers.alpha.shape:
            expected, got = (f"{rows} x {cols}" for rows, cols in (layers.alpha.shape, truth.shape))
            return found | {"problem": f"expected the picture's {expected} (rows x columns), got {got}"}
        write_thumbnail(thumbnail(self.report, "truth", job.key), truth)
        values = score(layers.alpha, truth, names=self.metrics).values
        return found | {"scores": {name: None if math.isnan(value) else value for name, value in values.items()}}


def write_thumbnail(path: Path, array: NDArray[np.float32]) -> None:
    """Write a copy of at most ``PREVIEW`` px; an alpha channel is kept without loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, strips.thumbnail(array, PREVIEW), quality=82)


Record = dict[str, Any]


def run_variants(
    variants: Sequence[Variant],
    samples: Sequence[Sample],
    report: Path,
    *,
    metrics: Sequence[str],
    workers: int | None = None,
    timeout: float | None = None,
    sequences: bool = False,
    on_begin: Callable[[Variant, int, int], None] | None = None,
) -> Generator[Record, None, None]:
    """Run every variant over every picture and yield a record of each, those of earlier runs first.

    Parameters
    ----------
    report : Path
        The folder; made where it is not there.
    workers : int, optional
        Processes; by default as many as the cores and the memory allow. Times are steadiest with 1.
    timeout : float, optional
        Seconds that a picture may take with one pipeline; what takes longer fails, and is tried again by the next run.
    sequences : bool
        The samples of a folder are the frames of a film. A pipeline that uses the frame before does them in order, in
        one process, and a film of which a frame is missing from its start.
    on_begin : callable(variant, to do, done before), optional
        Called before each variant.

    Yields
    ------
    dict
        ``variant``, ``picture``, ``status``, ``error``, ``seconds``, ``memory``, ``size``, ``warnings``,
        ``facts``, and what :class:`Examination` found.

    Raises
    ------
    PipelineError
        Before anything is done, if a pipeline makes no alpha or needs a plate that no picture has.
    """
    plated = any(sample.plate for sample in samples)
    for variant in variants:
        needs = variant.pipeline.needs()
        if "plate" in needs and not plated:
            raise PipelineError(f"{variant.name}: needs an empty plate of each picture; give --plates DIR")
        Work(variant.pipeline, "alpha", timeout=timeout).check([name for name in needs if name == "plate"])
    before = frames_before(sample.name for sample in samples) if sequences else {}
    samples = sorted(samples, key=lambda sample: natural(sample.name)) if sequences else samples
    known = _read_journal(report / JOURNAL)
    try:
        report.mkdir(parents=True, exist_ok=True)
        journal = JsonLines(report / JOURNAL)
    except OSError as error:
        raise PlanError(f"{report}: cannot be written: {error.strerror}") from error
    lock = Lock(report / LOCK)
    with journal, closing(lock):
        if lock.state == "held":  # else another comparison is at work there, or files cannot be locked
            for path in report.rglob(LEFT_BEHIND):  # of a run that was killed
                path.unlink(missing_ok=True)
        for variant in variants:
            takes = {name for step in variant.pipeline.steps for name in (*step.stage.needs, *step.stage.uses)}
            todo: list[Job] = []
            done: list[Record] = []
            earlier = before if PREVIOUS in takes else {}
            jobs: list[Job] = []
            keys: dict[str, str] = {}
            for sample in samples:
                plate = {"plate": sample.plate} if sample.plate and "plate" in takes else {}
                keys[sample.name] = _key(variant, sample, (*metrics, *(["in order"] if earlier else [])))
                output = folder_of(report, variant.id, sample.name) / "alpha.png"
                jobs.append(Job(sample.image, output, str(sample.image), sample.name, plate))
                old = known.get(keys[sample.name])
                if old is not None and output.exists() and thumbnail(report, variant.id, sample.name).exists():
                    done.append(old)
                else:
                    todo.append(jobs[-1])
            if earlier and todo:
                unfinished = {PurePosixPath(job.key).parent for job in todo}
                again = [record for record in done if PurePosixPath(record["picture"]).parent in unfinished]
                done = [record for record in done if record not in again]
                todo = [job for job in jobs if PurePosixPath(job.key).parent in unfinished]
            if on_begin is not None:
                on_begin(variant, len(todo), len(done))
            yield from done
            examine = Examination(report, variant.id, tuple(metrics), {sample.name: sample for sample in samples})
            work = Work(variant.pipeline, "alpha", examine=examine, timeout=timeout, before=earlier)
            for outcome in Local(1 if earlier else workers).run(todo, work):
                record = _record(variant, outcome)
                if outcome.status == "done":
                    journal.append({"key": keys[outcome.job.key], "record": record})
                yield record


def _key(variant: Variant, sample: Sample, metrics: Sequence[str]) -> str:
    """Return what a result hangs on: the pipeline with its networks, the files, the metrics, the version."""
    parts = [__version__, variant.digest, sample.name, *metrics]
    for path in (sample.image, sample.truth, sample.plate):
        with suppress(OSError):
            if path is not None:
                stat = path.stat()
                parts += [str(stat.st_size), str(stat.st_mtime_ns)]
        parts.append("/")
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _read_journal(path: Path) -> dict[str, Record]:
    known = {}
    for line in read_lines(path):
        if isinstance(line, dict) and isinstance(line.get("key"), str) and _is_record(line.get("record")):
            known[line["key"]] = line["record"]
    return known


_NUMBER = (int, float, type(None))
_KINDS: dict[str, Any] = {  # of a record, as _record() makes it
    **dict.fromkeys(("variant", "picture", "file", "status", "error", "problem"), str),
    **dict.fromkeys(("seconds", "scores", "signs"), dict),
    **dict.fromkeys(("memory", "confidence"), _NUMBER),
}


def _is_record(value: Any) -> bool:
    """Tell a line of ours from one that somebody else wrote, or broke."""
    return (
        isinstance(value, dict)
        and all(name in value and isinstance(value[name], kind) for name, kind in _KINDS.items())
        and all(isinstance(each, _NUMBER) for name in ("seconds", "scores") for each in value[name].values())
    )


def _record(variant: Variant, outcome: Outcome) -> Record:
    record = {name: value for name, value in asdict(outcome).items() if name not in ("job", "found", "stamp", "trace")}
    found = {"signs": {}, "confidence": None, "scores": {}, "problem": "", **outcome.found}
    entry = {"variant": variant.id, "picture": outcome.job.key, "file": outcome.job.name, **record, **found}
    return json.loads(json.dumps(entry))  # a record is the same whether it was run or read back
