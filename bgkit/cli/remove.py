"""``bgkit remove``: pictures in, pictures out."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import click

from bgkit.batch.jobs import STRIP, Job, Outcome, Work, shown
from bgkit.cli.options import FORMATS, device_option, load_chain, timeout_option
from bgkit.cli.progress import Progress, open_progress
from bgkit.errors import ImageError, ParamError, PlanError
from bgkit.files import METADATA

LAYERS = ("result", "alpha", "mask", "trimap", "foreground", "background")
BROUGHT = {
    "plate": "The scene photographed empty.",
    "second": "The same subject photographed before another ground (-p two-grounds).",
    "next": "The film's next frame, or the one before, for a network that sees two (cascade_refine).",
    "mask": "A mask of your own: white is subject.",
    "trimap": "A trimap of your own: black, white, and gray for unknown.",
    "strokes": "Strokes: white on the subject, black on the background, gray or clear elsewhere.",
    "alpha": "An alpha of your own, for what comes after matting.",
}


def _brought_options(command: Any) -> Any:
    for name, text in reversed(BROUGHT.items()):
        command = click.option(f"--{name}", metavar="FILE|DIR", help=text)(command)
    return command


def _read_page(context: click.Context, option: click.Parameter, text: str | None) -> int | str | None:
    """Return the number of a page, ``all`` or None."""
    if text is None or text == "all":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise ParamError(f"--page: expected a number from 1 up, or all, got {text!r}")
    return int(text)


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
@click.option("--strip", is_flag=True, help="Write the picture, the subject on white and alpha side by side.")
@_brought_options
@click.option("--format", "ending", type=click.Choice(FORMATS), help="The format of results; default: png.")
@click.option(
    "--page",
    metavar="N|all",
    callback=_read_page,
    help="Which picture of a file that holds several: the Nth (default: the first), or all, with numbered results.",
)
@click.option(
    "--if-exists",
    type=click.Choice(["skip", "overwrite", "fail"]),
    help="What to do when the output exists; default: overwrite for one picture given by name, else skip, so that "
    "a batch that was stopped is resumed when it is started again.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="How many processes; default: one for each core if there are four pictures or more, else one.",
)
@click.option(
    "--memory",
    type=click.FloatRange(0.1),
    metavar="GB",
    help="Memory for all workers together; default: what is free.",
)
@click.option(
    "--engine",
    metavar="NAME",
    default="local",
    show_default=True,
    help="Where the work is done. local: processes on this machine; dask: the workers of a Dask cluster; "
    "or an engine of another package.",
)
@click.option(
    "--scheduler",
    metavar="URL",
    help="The address of a running Dask scheduler, as tcp://host:8786; without it, --engine dask starts its own here.",
)
@device_option
@timeout_option
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Append a JSON line for each picture; if FILE ends in .html, write a contact sheet.",
)
@click.option(
    "--zip", "archive", metavar="FILE", type=click.Path(path_type=Path), help="Also put all results into a zip file."
)
@click.option(
    "--save-steps",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the result of every stage to DIR/NAME/.",
)
@click.option(
    "--metadata",
    type=click.Choice(METADATA),
    help="Which of the picture's EXIF, XMP and IPTC fields to copy. credit (default): artist, copyright, description, "
    "time of capture; none; or all, places (GPS) included.",
)
@click.option(
    "--sidecar",
    is_flag=True,
    help="Write a JSON file beside each result, with all that is needed to make the result again.",
)
@click.option("--strict", is_flag=True, help="Exit with status 1 also if the pipeline's checks flag a picture.")
@click.option(
    "--review", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="Copy flagged results to DIR."
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
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
    page: int | Literal["all"] | None,
    if_exists: Any,
    workers: int | None,
    memory: float | None,
    engine: str,
    scheduler: str | None,
    device: str | None,
    timeout: float | None,
    report: Path | None,
    archive: Path | None,
    metadata: Literal["none", "credit", "all"] | None,
    save_steps: Path | None,
    quiet: bool,
    sidecar: bool,
    strict: bool,
    review: Path | None,
    **brought: str | None,
) -> int:
    """Remove the background of pictures.

    INPUT may be files, folders (with all below them), globs (in quotes), URLs (s3://shop/shots), or - for a picture
    from a pipe.

    Without -o, the result of photo.jpg is photo-cutout.png beside it (photo-alpha.png with --layer alpha), and results
    of the folder shots go to the folder shots-cutout. An output folder has the same subfolders as the input folder. If
    two results would get the same name, they get the full names of their pictures: a.jpg.png and a.tif.png. An input is
    never overwritten.

    --plate, --mask, --trimap, --strokes and --alpha take one file for all pictures, or a folder that has a file of the
    same name for each picture.

    All settings are checked before the first picture is processed. A picture that fails does not stop the others.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's products are small here; threads take 40 ms to start
    if strip and layer != "result":
        raise ParamError(f"--strip: shows picture, subject and matte together; leave out --layer {layer}")
    layer = STRIP if strip else layer
    chain = load_chain(pipeline, settings, background, layer, device)
    given = {name: path for name, path in brought.items() if path is not None}
    if len(inputs) == 1 and Path(inputs[0]).is_file() and workers in (None, 1) and timeout is None:
        Work(chain).load_networks(given)  # in this process, while it imports the rest

    from bgkit.batch.removal import remove_many
    from bgkit.batch.report import thumbnails_for
    from bgkit.batch.sidecar import metadata_of

    kept: Any = metadata or (metadata_of(Path(pipeline)) if pipeline.lower().endswith(".json") else "credit")
    debug = click.get_current_context().find_root().params["debug"]
    with open_progress(quiet, strict=strict, debug=debug) as progress:
        if "-" in inputs or output == "-":
            if archive is not None:
                raise PlanError("--zip: a pipe takes one picture, which needs no zip file")
            if page == "all":
                raise PlanError("--page all: a pipe takes one picture; name its number, as in --page 2")
            work = Work(
                chain,
                layer,
                save_steps,
                examine=thumbnails_for(report),
                sidecar=sidecar,
                timeout=timeout,
                metadata=kept,
            )
            _pipe(inputs, output, work, progress, ending=ending, page=page, given=given, report=report, review=review)
            return progress.status
        try:
            remove_many(
                inputs,
                output,
                chain,
                layer=layer,
                ending=ending,
                page=page,
                if_exists=if_exists,
                engine=engine,
                workers=workers,
                memory=None if memory is None else int(memory * 1e9),
                scheduler=scheduler,
                report=report,
                archive=archive,
                review=review,
                steps=save_steps,
                sidecar=sidecar,
                timeout=timeout,
                metadata=kept,
                events=progress,
                plate=given.get("plate"),
                mask=given.get("mask"),
                trimap=given.get("trimap"),
                second=given.get("second"),
                next=given.get("next"),
                strokes=given.get("strokes"),
                alpha=given.get("alpha"),
            )
        except KeyboardInterrupt:
            progress.finish(stopped=True)
            progress.say("stopped; the same command resumes")
            return 130
        progress.finish()
    return progress.status


def _pipe(
    inputs: Sequence[str],
    output: str | None,
    work: Work,
    progress: Progress,
    *,
    ending: str | None,
    page: int | None,
    given: dict[str, str],
    report: Path | None,
    review: Path | None,
) -> None:
    """One picture from standard input, to standard output, or both; only the picture goes there."""
    from bgkit.batch.engines.local import Local
    from bgkit.batch.places import place_of
    from bgkit.batch.planning import find_brought, plan, prepare
    from bgkit.batch.removal import write_down
    from bgkit.batch.report import Log, open_report
    from bgkit.batch.reviewing import Review
    from bgkit.imagefile import read_bytes

    if len(inputs) != 1:
        raise PlanError("a pipe takes one picture: expected one INPUT")
    to_pipe = output in (None, "-")
    if to_pipe and sys.stdout.isatty():
        raise PlanError("the result would go to the terminal; send it on with > or |, or give -o FILE")
    work.check(given, ending or ("" if to_pipe else Path(str(output)).suffix[1:].lower()) or "png")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bgkit-"))) if to_pipe else None
        target = str(folder / f"result.{ending or 'png'}") if folder else str(output)
        if inputs[0] == "-":
            if not to_pipe and (Path(target).is_dir() or not Path(target).suffix):
                raise PlanError(f"{shown(target)}: a picture from a pipe has no name; give -o FILE")
            job = Job(b"", place_of(target), "stdin", "stdin")
            job = replace(job, brought=find_brought([job], given)[0])
        else:
            job = plan(inputs, target, brought=given).jobs[0]
            job = replace(job, key=Path(job.name).stem)
        job = replace(job, page=page)
        prepare([job.output.parent, *([work.steps_folder] if work.steps_folder else [])], report)
        logs: list[Log] = [stack.enter_context(open_report(report, work))] if report else []
        logs += [Review(review)] if review and not to_pipe else []
        progress.begin(1, work.steps(given))
        if inputs[0] == "-":
            try:
                job = replace(job, picture=read_bytes(sys.stdin.buffer, "stdin"))
                (outcome,) = Local(1).run([job], work, progress)
            except ImageError as error:
                outcome = Outcome(job, "failed", str(error))
        else:
            (outcome,) = Local(1).run([job], work, progress)
        if to_pipe and outcome.status == "done":
            with Path(target).open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            outcome = replace(outcome, job=replace(job, output=Path("-")))
        for problem in write_down(outcome, logs):
            progress.fail(problem)
        progress.add(outcome)
