"""``bgkit.remove_video``: a film through one pipeline, frame by frame in one process; what ``bgkit video`` does.

Everything is checked before the first frame. Frames are decoded, done and encoded one after the other, so memory does
not grow with the film. Every :data:`bgkit.video.outputs.PIECE` frames a piece is whole and written down
(:mod:`bgkit.video.record`), so that the same call resumes a run that was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal

from bgkit import __version__
from bgkit.batch.jobs import Work, shown
from bgkit.errors import PlanError
from bgkit.pipeline import Pipeline
from bgkit.pipelinefile import load_pipeline
from bgkit.removal import with_background
from bgkit.video.outputs import FilmOutput, Output, PictureOutput, PipeOutput, is_opaque, kind_of, numbered
from bgkit.video.plates import Scene, estimate_scene
from bgkit.video.record import Record
from bgkit.video.running import Film, Run
from bgkit.videofile import CREDIT, FORMATS, VIDEOS, Clip, Reader, is_sequence, open_video

__all__ = ["Film", "remove_video"]

PathLikeText = str | PathLike[str]


def remove_video(
    source: PathLikeText,
    out: PathLikeText,
    pipeline: PathLikeText | Pipeline = "auto",
    *,
    values: Mapping[str, Any] | None = None,
    background: str | PathLike[str] | Sequence[int] | None = None,
    layer: str = "result",
    steady: bool = True,
    plate: PathLikeText | None = None,
    raw: tuple[int, int] | None = None,
    rate: Fraction | float | None = None,
    timeout: float | None = None,
    metadata: Literal["none", "credit", "all"] = "credit",
    if_exists: Literal["overwrite", "skip", "fail"] = "overwrite",
    report: PathLikeText | None = None,
    on_news: Callable[[str], None] | None = None,
    on_done: Callable[[int, int | None], None] | None = None,
) -> Film:
    """Remove the background of a film.

    Parameters
    ----------
    source : path
        A video file; a folder of pictures, or a pattern of their names (``shots/%04d.png``); ``-`` for raw RGB frames
        from standard input; a camera (``/dev/video0``).
    out : path
        ``.webm`` (VP9) and ``.mov`` (ProRes 4444) hold transparency, ``.mp4`` (H.264) does not; a folder, or a pattern
        of names, gets numbered pictures; ``-`` is for raw frames to standard output.
    pipeline : str, path or Pipeline
        A shipped pipeline's name, a YAML file, or one that is loaded already. One that needs the empty scene finds it
        in a film from a camera that stands still, where ``plate`` is not given.
    values : mapping, optional
        Parameters to change: ``{"steady.strength": 0.8}``.
    background : str, path, or three whole numbers 0..255, optional
        A color, a picture's path, a film's path (repeated where it is shorter), ``blur``, or ``none``.
    layer : str
        What is written: ``result``, ``alpha``, ``mask``, ``foreground``, ``background``.
    steady : bool
        Put the stage ``steady`` behind the last one that gives alpha, where the pipeline does not have it.
    plate : path, optional
        The scene photographed empty.
    raw : (rows, cols), optional
        The size of raw frames.
    rate : number, optional
        Frames a second of pictures, raw frames and cameras; 25 by default.
    timeout : float, optional
        Seconds that a frame may take; it is then held, as one that fails.
    metadata : {"credit", "none", "all"}
        What of the film's own metadata goes along: title, authors, copyright, time and chapters; nothing; or all,
        places included.
    if_exists : {"overwrite", "skip", "fail"}
        What to do when the output exists and is not that of a run that was stopped.
    report : path, optional
        A file that gets a line of JSON for each frame.
    on_news : callable(text), optional
        Called with what the user should know on the way.
    on_done : callable(frames done, frames there are or None), optional
        Called after each frame.

    Returns
    -------
    Film
        A frame that fails shows the alpha of the one before, and is listed; the first one has none, and its error is
        raised.

    Raises
    ------
    PlanError, PipelineError, ParamError, ModelError
        Before the first frame, if what is asked for cannot be done.
    VideoError
        If the film cannot be read or written. What was done until then is left as a film that plays.
    """
    name, target = fspath(source), fspath(out)
    kind = kind_of(target)
    chain = pipeline if isinstance(pipeline, Pipeline) else load_pipeline(pipeline)
    chain = chain.giving(layer)
    chain = (chain.steadied() if steady else chain).with_values(values or {})
    behind = background if isinstance(background, str) and background.lower().endswith(VIDEOS) else None
    chain = with_background(chain, "none" if behind else background)
    work = Work(chain, layer, timeout=timeout, metadata=metadata)
    work.check(("plate",) if plate is not None or "plate" in chain.needs() else (), "png")
    _check_transparency(chain, layer, kind, behind)
    if _is_there(target, kind) and not Record.is_begun(Path(target)):
        if Path(name).exists() and Path(target).exists() and Path(name).samefile(target):
            raise PlanError(f"{shown(target)}: is the input; give the output another name")
        if if_exists == "fail":
            raise PlanError(f"{shown(target)}: exists; remove it, or overwrite it with --if-exists overwrite")
        if if_exists == "skip":
            return Film(skipped=True)
    if timeout is None:
        work.start_networks()
    news = on_news or (lambda text: None)
    with open_video(name, raw=raw, rate=None if rate is None else Fraction(rate).limit_denominator(1001)) as reader:
        for note in reader.clip.notes:
            news(f"{shown(name)}: {note}")
        scene = _scene(reader, chain, plate, news)
        with Run(work, reader.clip, scene.plate, behind, report, news, on_done) as run:
            run.film.doubts.extend(scene.doubts)
            output, record = _open_output(target, kind, work, reader.clip, (plate, behind))
            if record is not None and record.frames:
                news(f"{record.frames} frames were done before")
            return run.through(reader, output, record)


def _check_transparency(chain: Pipeline, layer: str, kind: str, behind: str | None) -> None:
    """Refuse, before the first frame, a result with alpha where the format holds none."""
    word = {"result": "background", "background": "fill"}.get(layer, "")
    chosen = [step.values[word] for step in chain.steps if word in step.values and step.stage.gives == layer]
    if behind is None and is_opaque(kind) and chosen[-1:] == ["none"]:
        remedy = "choose a background, as in --background white" if layer == "result" else "fill the hole"
        raise PlanError(f"{kind[1:]} holds no transparency; {remedy}, or write .webm or .mov")


def _is_there(target: str, kind: str) -> bool:
    path = Path(target)
    return path.is_file() if kind in FORMATS else path.is_dir() and any(path.glob(f"*{kind}")) if kind != "-" else False


def _scene(reader: Reader, chain: Pipeline, plate: PathLikeText | None, news: Callable[[str], None]) -> Scene:
    """Return the empty scene: the one that was given, or where the pipeline needs one that the film shows."""
    from bgkit.imagefile import read_picture

    clip = reader.clip
    if plate is not None:
        given = read_picture(plate).image
        if given.shape[:2] != (clip.rows, clip.cols):
            got = f"{given.shape[0]} x {given.shape[1]}"
            raise PlanError(
                f"--plate {shown(plate)}: expected the film's {clip.rows} x {clip.cols} (rows x columns), got {got}"
            )
        return Scene(given)
    if "plate" not in chain.needs():
        return Scene(None)
    if not clip.again:
        raise PlanError(f"{shown(clip.name)}: {chain.name} needs the empty scene; give --plate FILE")
    with open_video(clip.name) as first:
        found = estimate_scene(first)
    news("the empty scene was found in the film itself: the median of its frames")
    return found


def _open_output(
    target: str, kind: str, work: Work, clip: Clip, files: Sequence[PathLikeText | None]
) -> tuple[Output, Record | None]:
    if kind == "-":
        return PipeOutput(), None
    path = Path(target)
    key = {
        "bgkit": __version__,
        "input": [str(Path(clip.name).resolve()), *_stamp(clip.name)],
        "files": [[str(each), *_stamp(each)] for each in files if each is not None],
        "rate": str(clip.rate),
        "pipeline": work.pipeline.digest(),
        "layer": work.layer,
        "once": "" if clip.again else str(id(clip)),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlanError(f"{shown(path.parent)}: cannot be made: {error.strerror}") from error
    if kind in FORMATS:
        record = Record(path, key)
        about = _metadata(clip, work.metadata)
        return FilmOutput(path, FORMATS[kind], clip, record, about, chapters=work.metadata != "none"), record
    pattern = numbered(target)
    name = Path(clip.name)
    if is_sequence(clip.name) and Path(pattern).parent.resolve() == (name if name.is_dir() else name.parent).resolve():
        raise PlanError(f"{shown(target)}: these are the pictures that are read; name another folder for the results")
    record = Record(Path(pattern).parent, key)
    return PictureOutput(pattern, clip, record), record


def _stamp(name: PathLikeText) -> list[int]:
    with suppress(OSError):
        stat = Path(name).stat()
        return [stat.st_size, stat.st_mtime_ns]
    return []


def _metadata(clip: Clip, wanted: str) -> dict[str, str]:
    own = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration")  # of the container itself
    if wanted == "none":
        return {}
    return {
        key: value
        for key, value in clip.metadata.items()
        if (key.lower() in CREDIT if wanted == "credit" else key.lower() not in own)
    }
