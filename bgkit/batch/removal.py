"""``bgkit.remove_many``: many pictures through one pipeline; what ``bgkit remove`` does.

Everything is planned and checked before the first pixel (:mod:`bgkit.batch.planning`). Then an engine does the jobs
(:mod:`bgkit.batch.engines`), and each outcome is written down as it comes: in the output folder's journal, so that
the same call resumes a batch that was stopped; in the report; and in the folder of results to look at.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal

from bgkit.batch.engines import Engine, open_engine
from bgkit.batch.events import Events
from bgkit.batch.jobs import Outcome, Work, shown
from bgkit.batch.journal import Journal
from bgkit.batch.packing import check_target, pack
from bgkit.batch.places import Place, place_of
from bgkit.batch.planning import Plan, part, plan, prepare
from bgkit.batch.report import Log, open_report, thumbnails_for
from bgkit.batch.reviewing import Review
from bgkit.pipeline import Pipeline
from bgkit.pipelinefile import load_pipeline
from bgkit.removal import with_background

__all__ = ["Summary", "remove_many", "write_down"]

log = logging.getLogger("bgkit")

PathOrUrl = str | PathLike[str]
IfExists = Literal["skip", "overwrite", "fail"]


@dataclass
class Summary:
    """What became of a batch."""

    folder: Place | None  # of the results, where there is one for all
    counts: Counter[str] = field(default_factory=Counter)  # done, skipped, failed
    failed: list[Outcome] = field(default_factory=list)
    flagged: list[Outcome] = field(default_factory=list)  # by the pipeline's checks
    notes: list[str] = field(default_factory=list)  # what was left out, done again, kept
    problems: list[str] = field(default_factory=list)  # a report or a zip file that could not be written

    @property
    def ok(self) -> bool:
        """Whether every picture has its result, and all that was asked for is written."""
        return not self.failed and not self.problems


def remove_many(
    inputs: PathOrUrl | Iterable[PathOrUrl],
    out: PathOrUrl | None = None,
    pipeline: PathOrUrl | Pipeline = "auto",
    *,
    values: Mapping[str, Any] | None = None,
    background: str | PathLike[str] | Sequence[int] | None = None,
    layer: str = "result",
    ending: str | None = None,
    page: int | Literal["all"] | None = None,
    if_exists: IfExists | None = None,
    engine: str | Engine = "local",
    workers: int | None = None,
    memory: int | None = None,
    scheduler: str | None = None,
    report: PathOrUrl | None = None,
    archive: PathOrUrl | None = None,
    review: PathOrUrl | None = None,
    steps: PathOrUrl | None = None,
    sidecar: bool = False,
    timeout: float | None = None,
    metadata: Literal["none", "credit", "all"] = "credit",
    events: Events | None = None,
    plate: PathOrUrl | None = None,
    second: PathOrUrl | None = None,
    next: PathOrUrl | None = None,
    mask: PathOrUrl | None = None,
    trimap: PathOrUrl | None = None,
    strokes: PathOrUrl | None = None,
    alpha: PathOrUrl | None = None,
) -> Summary:
    """Remove the background of many pictures.

    Parameters
    ----------
    inputs : path, URL, or several
        Files, folders (with all below them), globs, and URLs of stores that fsspec knows.
    out : path or URL, optional
        A folder, in which the tree of an input folder is kept; or a picture's name for one input. Without it
        ``photo.jpg`` becomes ``photo-cutout.png`` beside it, and pictures of ``shots`` go to ``shots-cutout``.
    pipeline : str, path or Pipeline
        A shipped pipeline's name, a YAML file, or one that is loaded already.
    values : mapping, optional
        Parameters to change: ``{"composite.background": "white"}``.
    background : str, path, or three whole numbers 0..255, optional
        A color, a picture's path, ``blur``, or ``none``: sets ``composite.background``.
    layer : str
        What is written: ``result``, ``alpha``, ``mask``, ``trimap``, ``foreground``, ``background`` (the
        picture without its subject); or ``strip``, picture, subject and matte side by side.
    ending : str, optional
        The file format of the results, such as ``webp``; by default that of ``out``, else png.
    page : int or "all", optional
        Which picture to take of a file that holds several, from 1 (default: the first); or all, with numbered results.
    if_exists : {"skip", "overwrite", "fail"}, optional
        By default ``overwrite`` for one picture given by name, else ``skip``: the same call resumes a batch.
    engine : str or Engine
        ``local``, ``dask``, the name of another package's engine, or an engine of your own.
    workers, memory, scheduler : optional
        Settings of the engine: processes, bytes for all of them, and the address of a scheduler.
    report : path, optional
        A file that gets a line of JSON for each picture; or, if its name ends in .html, a contact sheet.
    archive : path, optional
        A zip file that gets all results.
    review : path, optional
        A folder that gets copies of the results which the pipeline's checks flag.
    steps : path, optional
        A folder that gets every layer as it is made.
    sidecar : bool
        Write a JSON file beside each result, with all that is needed to make the result again.
    timeout : float, optional
        Seconds that a picture may take, from reading to writing. A picture that takes longer fails, and the error
        names the step. If a step does not stop by itself, the local engine ends its process.
    metadata : {"credit", "none", "all"}
        Which of a picture's EXIF, XMP and IPTC fields are copied. ``credit``: artist, copyright, description and time
        of capture. ``all``: every field that is still true of the result, places (GPS) included.
    events : Events, optional
        Receives the outcome of each picture when it is done (:class:`bgkit.batch.events.Events`).
    plate, second, next, mask, trimap, strokes, alpha : path, optional
        Layers of your own: a file for all pictures, or a folder of files with the pictures' names.

    Returns
    -------
    Summary
        Counts, and the outcomes of pictures that failed or were flagged. A picture that fails does not stop the others.

    Raises
    ------
    PlanError, PipelineError, ParamError
        If an input is missing or a setting is wrong. They are raised before the first picture is processed.
    EngineError
        If the engine breaks down; what is done stays done.
    """
    names = [fspath(each) for each in ([inputs] if isinstance(inputs, str | PathLike) else inputs)]
    target = None if out is None else fspath(out)
    chain = pipeline if isinstance(pipeline, Pipeline) else load_pipeline(pipeline)
    brought = {"plate": plate, "second": second, "next": next, "mask": mask, "trimap": trimap, "strokes": strokes}
    brought |= {"alpha": alpha}
    given = {name: fspath(path) for name, path in brought.items() if path is not None}
    chain = with_background(chain.giving(layer).with_values(values or {}), background)
    report_path = Path(report) if report is not None else None
    work = Work(
        chain,
        layer,
        Path(steps) if steps else None,
        examine=thumbnails_for(report_path),
        sidecar=sidecar,
        timeout=timeout,
        metadata=metadata,
    )
    work.check(given, ending or _ending_of(target) or "png")
    suffix = "-cutout" if layer == "result" else f"-{layer}"
    planned = plan(names, target, ending=ending, suffix=suffix, brought=given, page=page)
    work.check_sizes(planned.jobs)
    work.start_networks()
    zipped = Path(archive) if archive is not None else None
    if zipped is not None:
        check_target(zipped, planned.jobs)
    events = events or Events()
    settings = {"workers": workers, "memory": memory, "scheduler": scheduler}
    with open_engine(engine, **settings) if isinstance(engine, str) else nullcontext(engine) as opened:
        return _run(
            planned,
            work,
            opened,
            events,
            if_exists=if_exists or _if_exists(names, planned),
            report=report_path,
            archive=zipped,
            review=Path(review) if review is not None else None,
        )


def _ending_of(out: str | None) -> str:
    """Return the ending of an output that names a file; it may still turn out to be a folder's name."""
    return place_of(out).suffix[1:].lower() if out and not Path(out).is_dir() else ""


def _is_file(place: Place) -> bool:
    return isinstance(place, Path) and place.is_file()


def _if_exists(names: Sequence[str], planned: Plan) -> IfExists:
    one = len(names) == 1 and (_is_file(place_of(names[0])) or planned.jobs[0].name == names[0])
    return "overwrite" if one else "skip"


def _run(
    planned: Plan,
    work: Work,
    engine: Engine,
    events: Events,
    *,
    if_exists: IfExists,
    report: Path | None,
    archive: Path | None,
    review: Path | None,
) -> Summary:
    """Run what was planned, and write down what becomes of it."""
    folder = planned.folder
    journal = None
    if folder is not None:
        places = {job.output.parent for job in planned.jobs}
        journal = Journal(folder, work.pipeline.digest(), work.layer, places, work.metadata)
    todo, standing, notes = part(planned, if_exists, journal, work.sidecar)
    running = engine.run(todo, work, events)  # checks what it needs to; no job is begun yet
    folders = [folder] if folder else [job.output.parent for job in todo]
    prepare([*folders, *([work.steps_folder] if work.steps_folder else [])], report)
    summary = Summary(folder, notes=[*planned.notes, *notes])
    results: list[Place] = []
    with ExitStack() as stack:
        stack.callback(_close, running)
        logs: list[Log] = [stack.enter_context(open_report(report, work))] if report else []
        logs += [stack.enter_context(journal)] if journal is not None else []
        logs += [Review(review, folder)] if review else []
        if journal is not None and journal.shared:
            summary.notes.append(f"{shown(journal.folder)}: another batch is at work there, too")
        events.begin(len(planned.jobs), work.steps(planned.jobs[0].brought))
        for text in summary.notes:
            log.info("%s", text)
            events.note(text)
        for outcome in itertools.chain((Outcome(job, "skipped") for job in standing), running):
            for problem in write_down(outcome, logs):
                _fail(problem, summary, events)
            _count(outcome, summary)
            events.add(outcome)
            if outcome.status != "failed":
                results.append(outcome.job.output)
        if archive is not None:
            _pack(archive, results, summary, events)
    return summary


def _close(running: Iterator[Any]) -> None:
    """Stop what an engine has begun."""
    if hasattr(running, "close"):
        running.close()


def write_down(outcome: Outcome, logs: list[Log]) -> list[str]:
    """Add an outcome to each log; one that cannot be written is given up, and its problem is returned."""
    problems = []
    for each in list(logs):
        try:
            each.add(outcome)
        except OSError as error:
            logs.remove(each)
            problems.append(f"{shown(each.path)}: cannot be written any further: {error.strerror}")
    return problems


def _count(outcome: Outcome, summary: Summary) -> None:
    summary.counts[outcome.status] += 1
    if outcome.status == "failed":
        summary.failed.append(outcome)
        log.warning("%s: failed: %s", shown(outcome.job.name), shown(outcome.error))
    elif outcome.status == "done":
        log.info("%s -> %s", shown(outcome.job.name), shown(outcome.job.output))
        log.debug("%s: seconds: %s", shown(outcome.job.name), dict(outcome.seconds))
    if outcome.flags:
        summary.flagged.append(outcome)
        log.info("%s: flagged: %s", shown(outcome.job.name), "; ".join(outcome.flags))


def _fail(text: str, summary: Summary, events: Events) -> None:
    summary.problems.append(text)
    log.warning("%s", text)
    events.fail(text)


def _pack(archive: Path, results: list[Any], summary: Summary, events: Events) -> None:
    """Put the results into a zip file, in the order of their names."""
    if not results:
        _fail(f"{shown(archive)}: not written, there is no result to put there", summary, events)
        return
    try:
        pack(archive, sorted(results), summary.folder)
    except OSError as error:
        _fail(f"{shown(archive)}: cannot be written: {error.strerror}", summary, events)
    else:
        events.note(f"{len(results)} results in {shown(archive)}")
