"""All metrics by name, for one picture and for a set.

:func:`score` measures one picture, :func:`summarize` a set: numbers are averaged over pictures, and
the F and E curves are averaged *before* their largest value is taken, as the field does. That is why
the ``f_max`` of a set is below the mean of its pictures' own ``f_max``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import ParamError, did_you_mean
from bgkit.evaluate import boundary, matting, salient

__all__ = ["METRICS", "Metric", "Score", "check_names", "score", "summarize"]

Array = NDArray[Any]


class Metric(NamedTuple):
    title: str
    better: Literal["higher", "lower"]
    meaning: str


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "mae": Metric("MAE", "lower", "mean absolute error of the stretched 8-bit map against the binary truth"),
        "f_max": Metric("F max", "higher", "largest F (beta squared 0.3) over 256 thresholds"),
        "f_mean": Metric("F mean", "higher", "mean F over 256 thresholds"),
        "f_adaptive": Metric("F adaptive", "higher", "F at twice the map's mean"),
        "weighted_f": Metric("F weighted", "higher", "F with errors weighted by place"),
        "s_measure": Metric("S", "higher", "structural similarity of subject and quarters"),
        "e_max": Metric("E max", "higher", "largest enhanced alignment over 256 thresholds"),
        "e_mean": Metric("E mean", "higher", "mean enhanced alignment over 256 thresholds"),
        "e_adaptive": Metric("E adaptive", "higher", "enhanced alignment at twice the map's mean"),
        "iou": Metric("IoU", "higher", "intersection over union at one half"),
        "precision": Metric("precision", "higher", "share of the marked pixels that are subject, at one half"),
        "recall": Metric("recall", "higher", "share of the subject that is marked, at one half"),
        "boundary_iou": Metric("boundary IoU", "higher", "IoU of the inner bands of 2 % of the diagonal"),
        "mba": Metric("mBA", "higher", "accuracy within five bands along the true boundary"),
        "sad": Metric("SAD", "lower", "sum of absolute differences of alpha / 1000"),
        "mse": Metric("MSE", "lower", "mean squared difference of alpha"),
        "mad": Metric("MAD", "lower", "mean absolute difference of alpha"),
        "grad": Metric("Grad", "lower", "sum of squared differences of alpha's slope"),
        "conn": Metric("Conn", "lower", "sum of differences in connectedness"),
        "dtssd": Metric("dtSSD", "lower", "root mean square error of alpha's change from frame to frame, percent"),
        "foreground_mse": Metric(
            "color MSE", "lower", "mean squared error of the subject's color where the truth has it"
        ),
    }
)

_curve_of = {"f_max": "f_curve", "f_mean": "f_curve", "e_max": "e_curve", "e_mean": "e_curve"}


@dataclass(frozen=True)
class Score:
    """The metrics of one picture, and the curves (256,) that a set's figures are made of."""

    values: Mapping[str, float]
    curves: Mapping[str, Array] = field(default_factory=dict)


def check_names(names: Iterable[str] | None, *, with_color: bool, with_time: bool = False) -> tuple[str, ...]:
    """Return metric names in the table's order, for None all that can be measured; a wrong one raises ParamError."""
    if names is None:
        left_out = {"foreground_mse"} if not with_color else set()
        left_out |= {"dtssd"} if not with_time else set()
        return tuple(name for name in METRICS if name not in left_out)
    wanted = set(names)
    for name in wanted:
        if name not in METRICS:
            raise ParamError(
                f"metrics: expected names among {', '.join(METRICS)}, got {name!r}{did_you_mean(name, METRICS)}"
            )
    return tuple(name for name in METRICS if name in wanted)


def score(
    prediction: Array,
    truth: Array,
    trimap: Array | None = None,
    *,
    colors: tuple[Array, Array] | None = None,
    before: tuple[Array, Array] | None = None,
    names: Sequence[str] | None = None,
    stretch: bool = True,
) -> Score:
    """Measure one prediction.

    Parameters
    ----------
    prediction, truth : float array of shape (M, N)
        Mask or alpha in 0..1.
    trimap : uint8 array of shape (M, N), optional
        Where given, the matting metrics look at its unknown pixels (128) alone; the others never do.
    colors : pair of float arrays of shape (M, N, 3), optional
        The foreground found, and the true one, for ``foreground_mse``, which is NaN without them.
    before : pair of float arrays of shape (M, N), optional
        Prediction and truth of the frame before, for ``dtssd``, which is NaN without them.
    names : sequence of str, optional
        Metrics to compute, by default all of ``METRICS`` that can be.
    stretch : bool
        Stretch the prediction to 0..1 for the salient-object metrics, as the field does.

    Raises
    ------
    LayerError
        If the sizes differ, or a value is not in 0..1.
    ParamError
        If a name is wrong.

    >>> result = score(np.eye(8), np.eye(8), names=["mae", "iou", "sad"])
    >>> dict(result.values)
    {'mae': 0.0, 'iou': 1.0, 'sad': 0.0}
    """
    names = check_names(names, with_color=colors is not None, with_time=before is not None)
    pair = salient.prepare(prediction, truth, stretch=stretch)
    curves = {
        kind: curve(pair) for kind, curve in _curves.items() if any(_curve_of.get(name) == kind for name in names)
    }
    values = {}
    for name in names:
        if name in _curve_of:
            values[name] = _of_curve(name, curves[_curve_of[name]])
        elif name == "foreground_mse":
            values[name] = matting.foreground_mse(*colors, truth) if colors else float("nan")
        elif name == "dtssd":
            values[name] = matting.dtssd(prediction, truth, trimap, before=before)
        elif name in _of_pair:
            values[name] = _of_pair[name](pair)
        else:
            values[name] = _of_alpha[name](prediction, truth, trimap)
    return Score(values, curves)


def summarize(scores: Sequence[Score]) -> dict[str, float]:
    """Return a set's figures: means over its pictures, and maxima of mean curves.

    A picture where a metric is not defined (NaN: no unknown pixel to average over) does not count for it.
    """
    figures: dict[str, float] = {}
    for name in scores[0].values if scores else ():
        if name in _curve_of:
            curve = np.mean([one.curves[_curve_of[name]] for one in scores], axis=0)
            figures[name] = _of_curve(name, curve)
        else:
            values = np.array([one.values[name] for one in scores])
            known = values[~np.isnan(values)]
            figures[name] = float(known.mean()) if known.size else float("nan")
    return figures


def _of_curve(name: str, curve: Array) -> float:
    return float(curve.max() if name.endswith("max") else curve.mean())


_curves: dict[str, Callable[[salient.Pair], Array]] = {"f_curve": salient.f_curve, "e_curve": salient.e_curve}

_of_pair: dict[str, Callable[[salient.Pair], float]] = {
    "mae": salient.mae,
    "f_adaptive": salient.adaptive_f,
    "weighted_f": salient.weighted_f,
    "s_measure": salient.s_measure,
    "e_adaptive": salient.adaptive_e,
    "iou": salient.iou,
    "precision": lambda pair: salient.precision_recall(pair)[0],
    "recall": lambda pair: salient.precision_recall(pair)[1],
    "boundary_iou": lambda pair: boundary.boundary_iou(pair.binary, pair.truth),
    "mba": lambda pair: boundary.mean_boundary_accuracy(pair.binary, pair.truth),
}

_of_alpha: dict[str, Callable[[Array, Array, Array | None], float]] = {
    "sad": matting.sad,
    "mse": matting.mse,
    "mad": matting.mad,
    "grad": matting.grad,
    "conn": matting.conn,
}
