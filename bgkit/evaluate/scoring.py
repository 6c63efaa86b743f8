"""Score the results of any tool: a folder of predictions against a folder of truths.

Predictions may be masks, alphas or cutouts with an alpha channel; they are matched to truths by
name, without folder and ending. Whatever cannot be scored is listed, never left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bgkit.errors import BgkitError, ParamError
from bgkit.evaluate.mattes import read_matte
from bgkit.evaluate.metrics import check_names, score, summarize
from bgkit.evaluate.samples import Dataset, Sample
from bgkit.evaluate.table import Problem, Row, Table
from bgkit.pairing import frames_before, partners, pictures_in
from bgkit.threads import threads

__all__ = ["evaluate"]


def evaluate(
    predictions: str | PathLike[str],
    truth: str | PathLike[str] | Dataset,
    *,
    trimaps: str | PathLike[str] | bool | None = None,
    foregrounds: str | PathLike[str] | None = None,
    metrics: Sequence[str] | None = None,
    stretch: bool = True,
    sequences: bool = False,
    workers: int | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> Table:
    """Score every prediction that has a truth.

    Parameters
    ----------
    predictions : path
        Folder of pictures, also in folders within. Of a cutout the alpha channel counts, of a mask its gray.
    truth : path or Dataset
        Folder of true masks or alphas, or a set from :func:`bgkit.evaluate.datasets.open_dataset`.
    trimaps : path or bool, optional
        Folder of trimaps, or True for those the data set brings; the matting metrics then look at
        their unknown pixels alone.
    foregrounds : path, optional
        Folder of true subject colors, with which the colors of cutouts are compared; a data set may
        bring its own.
    metrics : sequence of str, optional
        Names from :data:`bgkit.evaluate.metrics.METRICS`, by default all that can be measured.
    stretch : bool
        Stretch predictions to 0..1 for the salient-object metrics, as the field does.
    sequences : bool
        The pictures of a folder are the frames of a film, in the order of their names; ``dtssd`` can be measured then.
    workers : int, optional
        Threads, by default one per core. The figures do not depend on it.
    on_done : callable(done, total), optional
        Called in the caller's thread after each picture.

    Returns
    -------
    Table
        A row per picture, the set's figures, and every file that was not scored with the reason.

    Raises
    ------
    ParamError
        If a metric is unknown.
    ImageError
        If a folder is absent or holds no picture.
    """
    of_set = isinstance(truth, Dataset) and any(sample.foreground for sample in truth)
    names = check_names(metrics, with_color=foregrounds is not None or of_set, with_time=sequences)
    if "dtssd" in names and not sequences:
        raise ParamError("metrics: dtssd compares frames of a film; say that folders are films, by --sequences")
    count = threads() if workers is None else workers
    if count < 1:
        raise ParamError(f"workers: expected 1 or more, got {count}")
    pairs, problems = _match(Path(predictions), truth, trimaps, foregrounds)
    paths = {sample.name: path for path, sample in pairs}
    samples = {sample.name: sample for _, sample in pairs}
    earlier = frames_before(samples) if sequences else {}

    def measure(pair: tuple[Path, Sample]) -> Row | Problem:
        name = earlier.get(pair[1].name)
        before = (paths[name], samples[name]) if name is not None and "dtssd" in names else None
        return _measure(*pair, before=before, names=names, stretch=stretch, with_trimap=trimaps not in (None, False))

    rows: list[Row] = []
    with ThreadPoolExecutor(count) as pool:
        for done, result in enumerate(pool.map(measure, pairs), 1):
            if isinstance(result, Row):
                rows.append(result)
            else:
                problems.append(result)
            if on_done is not None:
                on_done(done, len(pairs))
    kinds = sorted({row.kind for row in rows if row.kind})
    return Table(
        names,
        tuple(rows),
        summarize([row.score for row in rows]),
        tuple(sorted(problems)),
        {kind: summarize([row.score for row in rows if row.kind == kind]) for kind in kinds},
    )


def _match(
    predictions: Path,
    truth: str | PathLike[str] | Dataset,
    trimaps: str | PathLike[str] | bool | None,
    foregrounds: str | PathLike[str] | None,
) -> tuple[list[tuple[Path, Sample]], list[Problem]]:
    """Pair predictions with truths, and say what has no partner."""
    problems: list[Problem] = []
    predicted = _one_each(predictions, "predictions", problems)
    if isinstance(truth, Dataset):
        samples = {sample.name: sample for sample in truth}
        problems += [Problem(path.stem, str(path), "without a partner in the data set") for path in truth.unmatched]
    else:
        samples = {name: Sample(name, path, path) for name, path in _one_each(Path(truth), "truth", problems).items()}
    if isinstance(trimaps, str | PathLike):
        given = _renamed(_one_each(Path(trimaps), "trimaps", problems), samples)
        samples = {
            name: replace(sample, trimaps=(given[name],) if name in given else ()) for name, sample in samples.items()
        }
        problems += _alone(given, samples, "trimap without a truth")
    if foregrounds is not None:
        given = _renamed(_one_each(Path(foregrounds), "foregrounds", problems), samples)
        samples = {name: replace(sample, foreground=given.get(name)) for name, sample in samples.items()}
        problems += _alone(given, samples, "foreground without a truth")
    predicted = _renamed(predicted, samples)
    problems += _alone(predicted, samples, "prediction without a truth")
    truths = {name: sample.truth or sample.image for name, sample in samples.items()}
    problems += _alone(truths, predicted, "truth without a prediction")
    return [(path, samples[name]) for name, path in predicted.items() if name in samples], problems


def _one_each(folder: Path, what: str, problems: list[Problem]) -> dict[str, Path]:
    """Return the pictures of a folder by name; what is no picture, or shares its name, is a problem."""
    given = pictures_in(folder, what)
    problems += [Problem(path.stem, str(path), "not a picture, by its ending") for path in given.others]
    for name, paths in given.doubled.items():
        problems += [Problem(name, str(path), f"one of {len(paths)} {what} of this name") for path in paths]
    return given.files


def _renamed(files: dict[str, Path], samples: Mapping[str, Sample]) -> dict[str, Path]:
    """Give files the names of the truths they belong to."""
    truth_of = partners(files, samples)
    return dict(sorted((truth_of.get(name, name), path) for name, path in files.items()))


def _alone(files: Mapping[str, Path], partners: Container[str], reason: str) -> list[Problem]:
    return [Problem(name, str(path), reason) for name, path in files.items() if name not in partners]


def _measure(
    path: Path,
    sample: Sample,
    before: tuple[Path, Sample] | None,
    names: tuple[str, ...],
    stretch: bool,
    with_trimap: bool,
) -> Row | Problem:
    """Score one prediction, or say why it cannot be."""
    file = path
    try:
        prediction = read_matte(path)
        file = sample.truth or sample.image
        truth = sample.read_truth()
        file = sample.trimaps[0] if sample.trimaps else file
        trimap = sample.read_trimap() if with_trimap else None
        file = sample.foreground or path
        colors = _read_colors(path, sample) if "foreground_mse" in names else None
        last = _read_before(before, truth.shape) if before is not None else None
    except BgkitError as error:
        return Problem(sample.name, str(file), str(error).removeprefix(f"{file}: "))
    if with_trimap and trimap is None:
        return Problem(sample.name, str(path), "its truth has no trimap")
    for which, array in ((path, prediction), (sample.trimaps[0] if sample.trimaps else path, trimap)):
        if array is not None and array.shape != truth.shape:
            turned = "; turned by 90 degrees?" if array.shape == truth.shape[::-1] else ""
            reason = f"expected the truth's {_size(truth)} (rows x columns), got {_size(array)}{turned}"
            return Problem(sample.name, str(which), reason)
    if colors and colors[1].shape[:2] != truth.shape:
        reason = f"expected the truth's {_size(truth)} (rows x columns), got {_size(colors[1])}"
        return Problem(sample.name, str(sample.foreground), reason)
    measured = score(prediction, truth, trimap, colors=colors, before=last, names=names, stretch=stretch)
    return Row(sample.name, measured, sample.kind)


def _read_before(before: tuple[Path, Sample], shape: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return prediction and truth of the frame before; None where they cannot be read, which that frame's row says."""
    try:
        prediction, truth = read_matte(before[0]), before[1].read_truth()
    except BgkitError:
        return None
    return (prediction, truth) if prediction.shape == truth.shape == shape else None


def _read_colors(path: Path, sample: Sample) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return a cutout's colors and the true ones; None where the prediction is a mask or the truth is not known."""
    from bgkit.imagefile import read_picture

    true, found = sample.read_foreground(), read_picture(path)
    return None if true is None or found.alpha is None else (found.image, true)


def _size(array: NDArray[Any]) -> str:
    return f"{array.shape[0]} x {array.shape[1]}"
