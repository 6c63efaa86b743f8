"""``bgkit remove``: pictures in, pictures out."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bgkit.batch.jobs import Job, shown
from bgkit.cli.progress import Progress, open_progress
from bgkit.errors import ParamError, PlanError

if TYPE_CHECKING:
    from bgkit.batch.jobs import Work
    from bgkit.batch.places import Place
    from bgkit.batch.planning import Plan

LAYERS = ("result", "alpha", "mask", "trimap", "foreground")
BROUGHT = {
    "plate": "The scene photographed empty.",
    "mask": "A mask of your own: white is subject.",
    "trimap": "A trimap of your own: black, white, and gray for unknown.",
    "strokes": "Strokes: white on the subject, black on the background, gray or clear elsewhere.",
    "alpha": "An alpha of your own, for what comes after matting.",
}


def _brought_options(command: Any) -> Any:
    for name, text in reversed(BROUGHT.items()):
        command = click.option(f"--{name}", metavar="FILE|DIR", help=text)(command)
    return command


@click.command(
    epilog="""\b
Examples:
  bgkit remove photo.jpg --background white
  bgkit remove shots -o cut -p studio-white --report cut.jsonl
  bgkit remove 'raw/**/*.tif' -o cut --set make_trimap.width=8 --layer alpha
  bgkit remove shots -o cut --zip cut.zip
  bgkit remove shots -o looks --strip --format jpg
  bgkit remove shots -o cut --mask masks --background '#eeeeee'
  curl -s https://example.org/a.jpg | bgkit remove - > a.png"""
)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT", help="A folder, a picture's name for one input, or - for a pipe.")
@click.option(
    "-p", "--pipeline", default="auto", show_default=True, help="A shipped pipeline's name, a YAML file, or a sidecar."
)
@click.option("--set", "settings", metavar="STAGE.PARAM=VALUE", multiple=True, help="Change a value; repeatable.")
@click.option("--background", metavar="WHAT", help="A color, a picture, blur, or none: sets composite.background.")
@click.option("--layer", type=click.Choice(LAYERS), default="result", show_default=True, help="What to write.")
@click.option("--strip", is_flag=True, help="Write picture, subject on white and matte side by side instead.")
@_brought_options
@click.option("--format", "ending", type=click.Choice(["png", "webp", "tif", "jpg"]), help="Of results; default png.")
@click.option(
    "--if-exists",
    type=click.Choice(["skip", "overwrite", "fail"]),
    help="What to do when the output exists; default: overwrite for one picture given by name, else skip, so that "
    "a batch that was stopped goes on when it is started again.",
)
@click.option(
    "--workers", type=click.IntRange(1), help="Processes; default: by the cores, for more than a few pictures."
)
@click.option(
    "--memory",
    type=click.FloatRange(0.1),
    metavar="GB",
    help="What all workers together may take; default: what is free.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "dask"]),
    help="local: processes of this machine (default); dask: the workers of a Dask cluster.",
)
@click.option(
    "--scheduler",
    metavar="URL",
    help="A running Dask scheduler, as tcp://host:8786; without it dask runs its own here.",
)
@click.option("--report", metavar="FILE", type=click.Path(path_type=Path), help="Append a JSON line for each picture.")
@click.option(
    "--zip", "archive", metavar="FILE", type=click.Path(path_type=Path), help="Also put all results into a zip file."
)
@click.option(
    "--save-steps",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write every layer as it is made, to DIR/NAME/.",
)
@click.option("--sidecar", is_flag=True, help="Write a JSON file of all that a repeat needs beside each result.")
@click.option("--strict", is_flag=True, help="Exit status 1 also when a picture is flagged by the pipeline's checks.")
@click.option(
    "--review", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="Copy flagged results to DIR."
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def command(
    *,
    inputs: tuple[str, ...],
    output: str | None,
    pipeline: str,
    settings: tuple[str, ...],
    background: str | None,
    layer: str,
    strip: bool,
    ending: str | None,
    if_exists: str | None,
    workers: int | None,
    memory: float | None,
    engine: str | None,
    scheduler: str | None,
    report: Path | None,
    archive: Path | None,
    save_steps: Path | None,
    quiet: bool,
    sidecar: bool,
    strict: bool,  # these two are taken from the context where they are needed
    review: Path | None,
    **brought: str | None,
) -> int:
    """Remove the background of pictures.

    INPUT may be files, folders (with all below them), globs (in quotes), URLs (s3://shop/shots), or - for a picture
    from a pipe.

    Without -o, photo.jpg becomes photo-cutout.png beside it (photo-alpha.png with --layer alpha), and the pictures of
    the folder shots go to shots-cutout. Below an output folder the tree of an input folder is kept. Two pictures that
    would get the same name keep their full old names: a.jpg.png and a.tif.png. An input is never overwritten.

    --plate, --mask, --trimap, --strokes and --alpha take one file for all pictures, or a folder of files with the
    pictures' names.

    Everything is checked before the first picture. A picture that fails does not stop the others.
    """
    from bgkit.batch.engine import check_shared, default_workers
    from bgkit.batch.jobs import STRIP, Work
    from bgkit.batch.packing import check_target
    from bgkit.batch.planning import plan

    if strip and layer != "result":
        raise ParamError(f"--strip: shows picture, subject and matte together; leave out --layer {layer}")
    layer = STRIP if strip else layer
    given = {name: path for name, path in brought.items() if path is not None}
    work = Work(_load(pipeline, settings, background), layer, save_steps, sidecar=sidecar)
    pipe = "-" in inputs or output == "-"
    name = Path(output).suffix[1:].lower() if output and not Path(output).is_dir() else ""
    work.check(given, ending or name or "png")
    if pipe and archive is not None:
        raise PlanError("--zip: a pipe takes one picture, which needs no zip file")
    if pipe:
        return _pipe(inputs, output, work, ending=ending or "png", given=given, report=report, quiet=quiet)
    if scheduler is not None and engine != "dask":
        raise PlanError("--scheduler: is for --engine dask")
    if memory is not None and engine == "dask":
        raise PlanError("--memory: is for local workers; dask worker has a --memory-limit of its own")
    suffix = f"-{'cutout' if layer == 'result' else layer}"
    planned = plan(inputs, output, ending=ending, suffix=suffix, brought=given)
    if archive is not None:
        check_target(archive, planned.jobs)
    one = len(inputs) == 1 and (Path(inputs[0]).is_file() or planned.jobs[0].name == inputs[0])
    if_exists = if_exists or ("overwrite" if one else "skip")
    with contextlib.ExitStack() as stack:
        count = workers or default_workers(len(planned.jobs))
        if engine == "dask":
            from bgkit.batch.dask_engine import Cluster

            check_shared(planned.jobs)
            run = stack.enter_context(Cluster(scheduler, count)).run
        else:
            check_shared(planned.jobs if count > 1 else ())
            run = None
        return _run(
            planned,
            work,
            if_exists=if_exists,
            workers=workers,
            memory=None if memory is None else int(memory * 1e9),
            cluster=run,
            report=report,
            archive=archive,
            quiet=quiet,
        )


def _load(name: str, settings: Sequence[str], background: str | None) -> Any:
    """Return the pipeline with the values of ``--set`` and ``--background``."""
    from bgkit.batch.sidecar import pipeline_of
    from bgkit.pipelinefile import load_pipeline

    pipeline = pipeline_of(Path(name)) if name.lower().endswith(".json") else load_pipeline(name)
    values = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise ParamError(f"--set {text}: expected STAGE.PARAM=VALUE")
        values[key.strip()] = value.strip()
    if background is not None:
        count = sum(step.name == "composite" for step in pipeline.steps)
        if not count:
            raise ParamError(f"--background: the pipeline {pipeline.name!r} has no stage composite")
        values[f"composite#{count}.background"] = background
    return pipeline.with_values(values)


def _run(
    planned: Plan,
    work: Work,
    *,
    if_exists: Any,
    workers: int | None,
    memory: int | None,
    cluster: Any,
    report: Path | None,
    archive: Path | None,
    quiet: bool,
) -> int:
    """Do what was planned, with progress, report, journal and summary."""
    from bgkit.batch.engine import default_workers, run_batch
    from bgkit.batch.jobs import Outcome
    from bgkit.batch.journal import Journal
    from bgkit.batch.planning import part, prepare
    from bgkit.batch.report import Report

    places = {job.output.parent for job in planned.jobs}
    journal = Journal(planned.folder, work.pipeline.digest(), work.layer, places) if planned.folder else None
    todo, standing, notes = part(planned, if_exists, journal, work.sidecar)
    folders = [planned.folder] if planned.folder else [job.output.parent for job in todo]
    prepare([*folders, *([work.steps_folder] if work.steps_folder else [])], report)
    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context(each) for each in (report and Report(report, work), journal) if each]
        logs += _review(planned.folder)
        steps = work.steps(planned.jobs[0].brought)
        progress = stack.enter_context(open_progress(len(planned.jobs), steps, quiet))
        if journal and journal.shared:
            notes.append(f"{shown(journal.folder)}: another batch is at work there, too")
        for text in (*planned.notes, *notes):
            progress.note(f"note: {text}")
        skipped = [Outcome(job, "skipped") for job in standing]
        if cluster is not None:
            proof = journal.path if journal and isinstance(planned.folder, Path) else None
            running = cluster(todo, work, proof, progress.note)
        else:
            running = run_batch(todo, work, workers or default_workers(len(todo)), progress.step, memory)
        stack.callback(running.close)
        results: list[Place] = []
        try:
            for outcome in itertools.chain(skipped, running):
                _take(outcome, progress, logs)
                if outcome.status != "failed":
                    results.append(outcome.job.output)
        except KeyboardInterrupt:
            running.close()
            progress.finish(stopped=True)
            progress.say("stopped; the same command goes on with what is left")
            return 130
        progress.finish()
        if archive is not None:
            _pack(archive, results, planned.folder, progress)
    return progress.status


def _pack(archive: Path, results: list[Any], folder: Place | None, progress: Progress) -> None:
    """Put the results into a zip file, in the order of their names."""
    from bgkit.batch.packing import pack

    if not results:
        progress.fail(f"{shown(archive)}: not written, there is no result to put there")
        return
    try:
        pack(archive, sorted(results), folder)
    except OSError as error:
        progress.fail(f"{shown(archive)}: cannot be written: {error.strerror}")
    else:
        progress.note(f"{len(results)} results in {shown(archive)}")


def _review(folder: Place | None) -> list[Any]:
    """Return what copies flagged results away, if that was asked for."""
    from bgkit.batch.reviewing import Review

    review: Path | None = click.get_current_context().params["review"]
    return [Review(review, folder)] if review else []


def _take(outcome: Any, progress: Progress, logs: list[Any]) -> None:
    """Write an outcome down and show it; a log that cannot be written is given up, the pictures are not."""
    for log in list(logs):
        try:
            log.add(outcome)
        except OSError as error:
            logs.remove(log)
            progress.fail(f"{shown(log.path)}: cannot be written any further: {error.strerror}")
    progress.strict = click.get_current_context().params["strict"]
    progress.add(outcome)
    if outcome.trace and click.get_current_context().find_root().params["debug"]:
        progress.say(outcome.trace)


def _pipe(
    inputs: Sequence[str],
    output: str | None,
    work: Work,
    *,
    ending: str,
    given: dict[str, str],
    report: Path | None,
    quiet: bool,
) -> int:
    """One picture from standard input, to standard output, or both; only the picture goes there."""
    from bgkit.batch.places import place_of
    from bgkit.batch.planning import find_brought, plan, prepare
    from bgkit.batch.report import Report
    from bgkit.batch.running import run_job

    if len(inputs) != 1:
        raise PlanError("a pipe takes one picture: expected one INPUT")
    to_pipe = output in (None, "-")
    if to_pipe and sys.stdout.isatty():
        raise PlanError("the result would go to the terminal; send it on with > or |, or give -o FILE")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bgkit-"))) if to_pipe else None
        target = str(folder / f"result.{ending}") if folder else str(output)
        if inputs[0] == "-":
            if not to_pipe and (Path(target).is_dir() or not Path(target).suffix):
                raise PlanError(f"{shown(target)}: a picture from a pipe has no name; give -o FILE")
            job = Job(b"", place_of(target), "stdin", "stdin")
            job = replace(job, brought=find_brought([job], given)[0])
        else:
            job = plan(inputs, target, brought=given).jobs[0]
            job = replace(job, key=Path(job.name).stem)
        prepare([job.output.parent, *([work.steps_folder] if work.steps_folder else [])], report)
        logs = [*([stack.enter_context(Report(report, work))] if report else []), *([] if to_pipe else _review(None))]
        progress = stack.enter_context(open_progress(1, work.steps(given), quiet))
        if inputs[0] == "-":
            job = replace(job, picture=sys.stdin.buffer.read())
        outcome = run_job(job, work, progress.step)
        if to_pipe and outcome.status == "done":
            with Path(target).open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            outcome = replace(outcome, job=replace(job, output=Path("-")))
        _take(outcome, progress, logs)
    return progress.status
