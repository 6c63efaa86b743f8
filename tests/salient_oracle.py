"""Drawn predictions and truths, and what PySODMetrics 1.6 says of them.

The numbers lie in ``salient_oracle.json``. To make them anew (in an environment of its own, since
PySODMetrics pins scikit-image below 0.26)::

    python -m venv oracle && oracle/bin/pip install pysodmetrics==1.6.* && oracle/bin/python tests/salient_oracle.py
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np

NUMBERS = Path(__file__).with_suffix(".json")


def cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return prediction and truth, uint8 (M, N), by name. RandomState's streams never change."""
    noise = np.random.RandomState(7)
    row, col = np.mgrid[:48, :64]
    far = np.hypot(row - 22.5, col - 30.25)
    disk = np.where(far < 14, 255, 0)
    soft = np.clip(255 - 9 * far, 0, 255)
    corner = np.where((row > 40) & (col < 9), 255, 0)
    gray = np.clip(300 - 12 * far, 0, 255)  # a truth with levels on both sides of 128
    ring = np.where((far < 20) & (far > 15), 255, 0)
    drawn = {
        "soft": (soft, disk),
        "perfect": (disk, disk),
        "inverted": (255 - disk, disk),
        "narrow range": (30 + soft * 0.6, disk),
        "noise": (noise.randint(0, 256, disk.shape), disk),
        "soft with noise": (np.clip(soft + noise.randint(-60, 61, disk.shape), 0, 255), ring),
        "corner": (soft, corner),
        "gray truth": (np.clip(soft + 20, 0, 255), gray),
        "empty truth": (soft, disk * 0),
        "full truth": (soft, disk * 0 + 255),
        "empty prediction": (disk * 0, disk),
        "constant prediction": (disk * 0 + 77, disk),
        "full prediction": (disk * 0 + 255, ring),
        "all empty": (disk * 0, disk * 0),
        "one row": (soft[20:21], disk[20:21]),
        "one column": (soft[:, 30:31], disk[:, 30:31]),
        "two pixels": (np.array([[200, 40]]), np.array([[255, 0]])),
    }
    return {name: (p.astype(np.uint8), t.astype(np.uint8)) for name, (p, t) in drawn.items()}


def is_broad(truth: np.ndarray) -> bool:
    return min(truth.shape) > 1


def ask_oracle() -> dict[str, object]:
    """Return what PySODMetrics says of each case, and of the set of those that are not thin.

    Of pictures one pixel thin it gives no S-measure (NaN, from quarters without pixels): null here.
    """
    import py_sod_metrics as oracle
    from py_sod_metrics.fmeasurev2 import IOUHandler, PrecisionHandler, RecallHandler

    def judges():
        binary = {
            name: handler(False, False, with_binary=True)
            for name, handler in (("iou", IOUHandler), ("precision", PrecisionHandler), ("recall", RecallHandler))
        }
        kinds = (oracle.MAE, oracle.Fmeasure, oracle.Smeasure, oracle.Emeasure, oracle.WeightedFmeasure)
        return [kind() for kind in kinds] + [oracle.FmeasureV2(binary)]

    def message(judges):
        mae, f, s, e, weighted, binary = judges
        f, e = f.get_results()["fm"], e.get_results()["em"]
        numbers = {
            "mae": mae.get_results()["mae"],
            "f_max": f["curve"].max(),
            "f_mean": f["curve"].mean(),
            "f_adaptive": f["adp"],
            "weighted_f": weighted.get_results()["wfm"],
            "s_measure": s.get_results()["sm"],
            "e_max": e["curve"].max(),
            "e_mean": e["curve"].mean(),
            "e_adaptive": e["adp"],
        } | {name: result["binary"] for name, result in binary.get_results().items()}
        numbers = {name: float(number) if np.isfinite(number) else None for name, number in numbers.items()}
        return numbers | {"f_curve": f["curve"][::15].tolist(), "e_curve": e["curve"][::15].tolist()}

    answers = {}
    of_all = judges()
    for name, (prediction, truth) in cases().items():
        alone = judges()
        for judge in (*alone, *(of_all if is_broad(truth) else ())):
            judge.step(prediction, truth)
        answers[name] = message(alone)
    return {"pictures": answers, "set": message(of_all)}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    NUMBERS.write_text(json.dumps(ask_oracle(), indent=1) + "\n")
