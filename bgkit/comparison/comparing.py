"""``compare``: run pipelines over pictures, judge the results, and write the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit import __version__
from bgkit.batch.engines.local import default_workers
from bgkit.batch.jobs import shown
from bgkit.comparison import judging, report
from bgkit.comparison.pictures import gather
from bgkit.comparison.runs import MANY, PREVIEW, folder_of, make_variants, run_variants, thumbnail, write_thumbnail
from bgkit.errors import PlanError
from bgkit.evaluate.matting import dtssd
from bgkit.evaluate.metrics import METRICS, check_names
from bgkit.evaluate.samples import Dataset, Sample
from bgkit.evaluate.table import Problem
from bgkit.files import write_whole
from bgkit.imagefile import write_picture
from bgkit.machine import machine, versions
from bgkit.pairing import frames_before

__all__ = ["USUAL", "compare"]

USUAL = ("mad", "sad", "mse", "grad", "iou", "boundary_iou", "s_measure")


def compare(
    pipelines: Sequence[str],
    images: str | PathLike[str] | Dataset,
    output: str | PathLike[str],
    *,
    truth: str | PathLike[str] | None = None,
    plates: str | PathLike[str] | None = None,
    sweeps: Sequence[str] = (),
    metrics: Sequence[str] | None = None,
    sequences: bool = False,
    workers: int | None = None,
    timeout: float | None = None,
    most: int = MANY,
    on_news: Callable[[str], None] | None = None,
    on_done: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Compare pipelines on the pictures of a folder or of a data set, and write a report.

    Parameters
    ----------
    pipelines : sequence of str
        Names of shipped pipelines, or YAML files.
    images, truth, plates : path
        Folders whose files are matched by name, without ending. Or ``images`` is a data set from
        :func:`bgkit.evaluate.datasets.open_dataset`, which brings truths and plates of its own.
    output : path
        The report's folder. What an earlier, stopped run left there is not done again.
    sweeps : sequence of str
        ``STAGE.PARAM=a,b,c``; several make a grid.
    metrics : sequence of str, optional
        Names from :data:`bgkit.evaluate.metrics.METRICS`; the first ranks.
    sequences : bool
        The pictures of a folder are the frames of a film, in the order of their names: each pipeline gets the frame
        before, as ``bgkit video`` brings it, and ``dtssd`` is among the metrics.
    workers : int, optional
        Processes. Times are steadiest with 1.
    timeout : float, optional
        Seconds that a picture may take with one pipeline; what takes longer is listed among the problems.
    most : int
        More variants than that are refused, before anything is done.
    on_news : callable(text), optional
        Called with news on the way: what is left out, which pipeline begins.
    on_done : callable(number, total, text), optional
        Called after each result.

    Returns
    -------
    dict
        What ``scores.json`` holds.

    Raises
    ------
    PipelineError, ParamError, ImageError, PlanError
        Before anything is done, if a pipeline, a value, a metric or a folder is wrong.
    """
    folder = Path(output)
    names = list(dict.fromkeys(metrics or (*USUAL, *(("dtssd",) if sequences else ()))))
    check_names(names, with_color=False)
    if "dtssd" in names and not sequences:
        raise PlanError("metrics: dtssd compares frames of a film; say that folders are films, by --sequences")
    variants, notes = make_variants(pipelines, sweeps, most)
    if isinstance(images, Dataset):
        if truth or plates:
            raise PlanError(f"truth, plates: the data set {images.name} brings its own; leave them away")
        source, truth = images.name, images.name if any(sample.has_truth for sample in images) else None
        samples, left_out = list(images), list[str]()
        problems = [Problem(path.stem, str(path), "without a partner in the data set") for path in images.unmatched]
    else:
        if folder.resolve() == Path(images).resolve():
            raise PlanError(f"{shown(folder)}: is the folder of the pictures; choose another for the report")
        source = str(images)
        samples, problems, left_out = gather(
            Path(images), Path(truth) if truth else None, Path(plates) if plates else None, folder
        )
    for text in (*notes, *left_out):
        _say(on_news, f"note: {text}")
    total, records = len(variants) * len(samples), []
    title = {variant.id: variant.name for variant in variants}
    running = run_variants(
        variants,
        samples,
        folder,
        metrics=names,
        workers=workers,
        timeout=timeout,
        sequences=sequences,
        on_begin=lambda variant, todo, before: _say(
            on_news, f"{variant.name}: {todo} pictures{f', {before} done before' if before else ''}"
        ),
    )
    try:
        for record in running:
            records.append(record)
            if on_done is not None:
                how = "" if record["status"] == "done" else f": {record['error']}"
                on_done(len(records), total, shown(f"{title[record['variant']]}: {record['picture']}{how}"))
    finally:
        running.close()
    problems += _problems(records, title)
    if sequences and "dtssd" in names:
        _score_changes(records, samples, folder)

    def show(kind: str, picture: str, array: NDArray[np.float32]) -> None:
        full = folder_of(folder, "consensus", picture) / ("mask.png" if kind == "consensus" else "disagreement.png")
        full.parent.mkdir(parents=True, exist_ok=True)
        write_picture(full, array)
        write_thumbnail(thumbnail(folder, kind, picture), array if kind == "consensus" else _heat(array))

    about = [
        {
            "id": variant.id,
            "name": variant.name,
            "base": variant.base,
            "values": dict(variant.values),
            "digest": variant.pipeline.digest(),
            "yaml": variant.pipeline.dump(),
            "models": list(variant.models),
            "description": variant.pipeline.description,
        }
        for variant in variants
    ]
    ids = [variant.id for variant in variants]
    keys = [
        sample.name for sample in samples if any(r["picture"] == sample.name and r["status"] == "done" for r in records)
    ]
    scored = any(record["scores"] for record in records)
    metric = names[0] if scored else judging.CONFIDENCE
    compared: dict[str, Any] = {
        "bgkit": __version__,
        "time": report.now(),
        "images": source,
        "truth": str(truth) if truth else None,
        "scored": scored,
        "metric": metric,
        "metrics": {name: METRICS[name]._asdict() for name in names if scored}
        | {
            judging.CONFIDENCE: {
                "title": "confidence",
                "better": "higher",
                "meaning": "predicted chance of an IoU of at least 0.9, from signs that need no truth",
            }
        },
        "workers": workers or default_workers(len(samples)),
        "preview": PREVIEW,
        "machine": machine(),
        "versions": versions(),
        "pipelines": about,
        "pictures": keys,
        "ranking": judging.rankings(ids, records, names if scored else ()),
        "cost": judging.cost(ids, records),
        "agreement": judging.agree(
            about, keys, lambda variant, picture: folder_of(folder, variant, picture) / "alpha.png", show
        ),
        "trust": judging.trust(records, metric) if scored else None,
        "results": records,
        "problems": [vars(problem) for problem in problems],
    }
    compared["verdict"] = _verdict(compared, title)
    write_whole(folder / "scores.json", report.as_json(compared))
    write_whole(folder / "scores.csv", judging.rows_as_csv(title, records, names if scored else ()))
    report.write_page(folder / "report.html", compared, lambda kind, picture: thumbnail(folder, kind, picture))
    return compared


def _score_changes(records: Sequence[dict[str, Any]], samples: Sequence[Sample], folder: Path) -> None:
    """Put dtSSD into the records: it needs the results of two frames, which any two processes may have made."""
    from bgkit.imagefile import read_gray

    by_name = {sample.name: sample for sample in samples}
    before = frames_before(by_name)
    done = {(record["variant"], record["picture"]) for record in records if record["scores"]}
    for record in records:
        variant, name = record["variant"], record["picture"]
        last = before.get(name, "")
        if (variant, name) in done and (variant, last) in done:
            pairs = [
                (read_gray(folder_of(folder, variant, each) / "alpha.png"), by_name[each].read_truth())
                for each in (name, last)
            ]
            record["scores"]["dtssd"] = dtssd(*pairs[0], before=pairs[1])


def _say(on_news: Callable[[str], None] | None, text: str) -> None:
    if on_news is not None:
        on_news(text)


def _problems(records: Sequence[dict[str, Any]], title: dict[str, str]) -> list[Problem]:
    """Return what went wrong, once where it went wrong for every variant."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for record in records:
        reason = record["error"] or (f"its truth: {record['problem']}" if record["problem"] else "")
        if reason:
            reason = reason.removeprefix(f"{record['file']}: ")
            found.setdefault((record["picture"], record["file"], reason), []).append(title[record["variant"]])
    return [
        Problem(name, file, reason if len(who) == len(title) else f"{', '.join(who)}: {reason}")
        for (name, file, reason), who in found.items()
    ]


def _heat(spread: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return disagreement as black to red to yellow to white."""
    return np.asarray(np.clip(np.stack([3 * spread, 3 * spread - 1, 3 * spread - 2], axis=2), 0, 1), np.float32)


def _verdict(compared: dict[str, Any], title: dict[str, str]) -> str:
    """Return the result in two sentences, no surer than the numbers are."""
    standings = compared["ranking"][compared["metric"]]
    if not standings:
        return "No picture was done by every pipeline; there is nothing to rank."
    metric = compared["metrics"][compared["metric"]]["title"]
    best, rest = standings[0], standings[1:]
    count = best["pictures"]
    pictures = "1 picture" if count == 1 else f"{count} pictures"
    what = "by predicted confidence, since there is no truth" if not compared["scored"] else f"by {metric}"
    text = f"{title[best['name']]} comes first {what}: {best['mean']:.4g} on {pictures}."
    tied = [title[one["name"]] for one in rest if one["tied"]]
    if not rest:
        return text
    if tied:
        others = ", ".join(tied) if len(tied) < 3 else f"{tied[0]} and {len(tied) - 1} others"
        return f"{text} These pictures cannot tell it from {others}."
    return f"{text} Every other pipeline is worse beyond chance (95 %, paired bootstrap)."
