"""Time of the metrics, and agreement with PySODMetrics where that is installed.

    python benchmarks/bench_metrics.py --quick

PySODMetrics pins scikit-image below 0.26, so it wants an environment of its own, in which this file
runs too (numpy, scipy and OpenCV are all that the metrics need). Both sides take turns in one process
and one thread; figures are medians of CPU time, which holds also on a busy machine. The last row scores a
folder of files, as ``bgkit evaluate`` does: reading, matching and all metrics, on all cores.
"""

from __future__ import annotations

import argparse
import platform
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from bgkit.evaluate.metrics import METRICS, score

GROUPS = {
    "MAE": ["mae"],
    "F": ["f_max", "f_mean", "f_adaptive"],
    "weighted F": ["weighted_f"],
    "S": ["s_measure"],
    "E": ["e_max", "e_mean", "e_adaptive"],
    "boundary IoU, mBA": ["boundary_iou", "mba"],
    "SAD, MSE, MAD": ["sad", "mse", "mad"],
    "Grad": ["grad"],
    "Conn": ["conn"],
    "all": [name for name in METRICS if name != "foreground_mse"],
}


def scene(rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a prediction and a truth, uint8: a soft disk, found with some noise."""
    row, col = np.mgrid[:rows, :cols]
    far = np.hypot(row - rows / 2, col - cols / 2) / min(rows, cols)
    truth = np.clip((0.32 - far) * min(rows, cols) / 4 + 0.5, 0, 1)
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, (rows, cols)), (0, 0), 2)
    prediction = np.clip(cv2.GaussianBlur(truth, (0, 0), 3) + 0.3 * noise, 0, 1)
    return (prediction * 255).astype(np.uint8), (truth * 255).astype(np.uint8)


def peers() -> dict[str, Callable[[np.ndarray, np.ndarray], float]]:
    """Return what PySODMetrics computes of our groups, by the first name of the group."""
    try:
        import py_sod_metrics as oracle
    except ImportError:
        return {}

    def ask(kind: type, answer: Callable[[dict], float]) -> Callable[[np.ndarray, np.ndarray], float]:
        def run(prediction: np.ndarray, truth: np.ndarray) -> float:
            judge = kind()
            judge.step(prediction, truth)
            return float(answer(judge.get_results()))

        return run

    return {
        "MAE": ask(oracle.MAE, lambda figures: figures["mae"]),
        "F": ask(oracle.Fmeasure, lambda figures: figures["fm"]["curve"].max()),
        "weighted F": ask(oracle.WeightedFmeasure, lambda figures: figures["wfm"]),
        "S": ask(oracle.Smeasure, lambda figures: figures["sm"]),
        "E": ask(oracle.Emeasure, lambda figures: figures["em"]["curve"].max()),
    }


def milliseconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return (time.process_time() - started) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one size, 5 rounds")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    other = peers()
    print(f"{platform.processor() or platform.machine()}; CPU ms per picture, 1 thread, medians")
    heads = ("work", "size", "bgkit", "PySODMetrics", "ratio", "difference", "peak MiB")
    print("{:18} {:>11} {:>9} {:>13} {:>7} {:>11} {:>9}".format(*heads))
    for rows, cols in ((300, 400),) if options.quick else ((300, 400), (1080, 1920)):
        prediction, truth = scene(rows, cols)
        as_float = [picture.astype(np.float32) / np.float32(255) for picture in (prediction, truth)]
        for work, names in GROUPS.items():
            peer = other.get(work)
            ours, theirs = [], []
            for _ in range(5 if options.quick else 15):
                ours.append(milliseconds(lambda: score(*as_float, names=names)))  # noqa: B023
                if peer:
                    theirs.append(milliseconds(lambda: peer(prediction, truth)))  # noqa: B023
            mine = float(np.median(ours))
            cells = [work, f"{cols} x {rows}", f"{mine:.2f}", "", "", ""]
            if peer:
                apart = abs(score(*as_float, names=names).values[names[0]] - peer(prediction, truth))
                cells[3:] = [f"{np.median(theirs):.2f}", f"{np.median(theirs) / mine:.1f}", f"{apart:.0e}"]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print("{:18} {:>11} {:>9} {:>13} {:>7} {:>11} {:>9.0f}".format(*cells, peak), flush=True)
    folder(100 if options.quick else 1000)
    return 0


def folder(count: int) -> None:
    """Time the scoring of a folder of 400 x 300 pictures, and tell what 1000 take."""
    try:
        from bgkit.evaluate import evaluate
        from bgkit.threads import threads
    except ImportError:  # in the oracle's environment bgkit's readers are not there
        return
    cv2.setNumThreads(threads())
    prediction, truth = scene(300, 400)
    with tempfile.TemporaryDirectory() as place:
        for name, picture in (("predictions", prediction), ("truth", truth)):
            (Path(place) / name).mkdir()
            for number in range(count):
                cv2.imwrite(f"{place}/{name}/{number}.png", np.roll(picture, number, axis=1))
        started, busy = time.perf_counter(), time.process_time()
        table = evaluate(f"{place}/predictions", f"{place}/truth")
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
    assert len(table.rows) == count
    print(
        f"folder of {count} files, all metrics, {threads()} threads: 1000 pictures in {seconds / count * 1000:.1f} s "
        f"({busy / count * 1000:.1f} s CPU)"
    )


if __name__ == "__main__":
    sys.exit(main())
