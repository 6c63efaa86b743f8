"""Closed-form matting and foreground estimation against PyMatting: time, memory, agreement.

    python benchmarks/bench_matting.py [--quick]

The picture is a drawn one: a ball with hair, noise and texture on both sides, about 13 % unknown. Both
sides run in turn in one process, loading and compiling outside the timer; seconds are medians. Memory
is what the call adds to the peak of a fresh process (Linux only). Agreement is the largest difference in the band.
Processor time of one side counts all its threads; on a machine that does other work too, it is the fairer figure.
Then the band is held and the picture grows: bgkit's time should follow the band. The last row is a picture of 24
megapixels with a narrow band, read from files by a fresh process: the peak is of the whole process, Python and all.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from benchmarks.__main__ import machine
from bgkit.imagefile import read_gray, read_picture, write_picture
from bgkit.layers import as_layer
from bgkit.stages import closed_form_matting, estimate_foreground
from bgkit.threads import set_threads

SIZES = {0.25: (433, 577), 1.0: (866, 1155), 4.0: (1732, 2309)}
BAND, NARROW = (0.255, 0.34), (0.282, 0.294)  # radii between which all is unknown, of the picture's height
LARGE, MEDIUM = (4000, 6000), (1000, 1500)


def picture(
    rows: int, cols: int, band: tuple[float, float] = BAND, hairs: int = 900
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image and alpha, float32, and trimap of a hairy ball; the same scene at any size."""
    rng = np.random.default_rng(7)
    unit, fine = rows / 433, 8  # coordinates of lines in eighths of a pixel
    drawn = np.zeros((rows, cols), np.uint8)
    center = np.array([cols, rows]) / 2
    cv2.circle(drawn, (cols // 2, rows // 2), int(0.28 * rows), 255, -1, cv2.LINE_AA)
    for angle in rng.uniform(0, 2 * np.pi, hairs):
        reach, bend = rng.uniform(0.3, 0.37), rng.normal(0, 0.1)
        along = np.linspace(0.25, reach, 12)[:, None] * rows
        turn = angle + bend * np.linspace(0, 1, 12)
        line = center + along * np.stack([np.cos(turn), np.sin(turn)], 1)
        cv2.polylines(drawn, [np.int32(line * fine)], False, 200, max(1, round(unit)), cv2.LINE_AA, 3)
    alpha = np.float32(cv2.GaussianBlur(drawn, (0, 0), 0.7) / 255)

    def surface(color: tuple[float, ...], cells: int) -> np.ndarray:
        noise = rng.normal(0, 0.08, (cells, cells, 3)).astype(np.float32)
        return cv2.resize(noise, (cols, rows), interpolation=cv2.INTER_CUBIC) + np.float32(color)

    image = alpha[..., None] * surface((0.45, 0.3, 0.2), 40) + (1 - alpha[..., None]) * surface((0.3, 0.55, 0.6), 9)
    image = np.clip(image + rng.normal(0, 0.006, image.shape), 0, 1).astype(np.float32)
    far = np.hypot(*(np.indices((rows, cols)) - center[::-1, None, None])) / rows
    trimap = np.where(far < band[0], 255, np.where(far > band[1], 0, 128)).astype(np.uint8)
    trimap[(trimap == 0) & (alpha > 0)] = 128
    return image, alpha, trimap


def calls(work: str, rows: int, cols: int) -> dict[str, Callable[[], np.ndarray]]:
    """Return both sides of one work on one size."""
    import pymatting

    image, alpha, trimap = picture(rows, cols)
    wide, known = np.float64(image), trimap / 255
    if work == "matting":
        return {
            "bgkit": lambda: closed_form_matting.stage.function(image, trimap),
            "peer": lambda: pymatting.estimate_alpha_cf(wide, known),
        }
    return {
        "bgkit": lambda: estimate_foreground.stage.function(image, alpha),
        "peer": lambda: pymatting.estimate_foreground_ml(image, alpha),
    }


def in_turn(sides: dict[str, Callable[[], Any]], runs: int) -> dict[str, tuple[float, float]]:
    """Return the median seconds, of the clock and of the processor, of each call; one after another."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for turn in range(runs + 1):
        for name, call in sides.items():
            start = time.perf_counter(), time.process_time()
            call()
            if turn:  # the first round warms up
                taken[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return {
        name: (statistics.median(t[0] for t in times), statistics.median(t[1] for t in times))
        for name, times in taken.items()
    }


def added_mb(work: str, side: str, size: float) -> float:
    """Return what one call adds to the peak memory of a fresh process, MB."""
    if not Path("/proc/self/clear_refs").exists():
        return float("nan")
    command = [sys.executable, __file__, "--peak", work, side, str(size)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()[-1])


def print_added_mb(work: str, side: str, size: float) -> None:
    calls(work, *SIZES[0.25])[side]()  # what compiles or loads does it now
    call = calls(work, *SIZES[size])[side]
    ctypes.CDLL(None).malloc_trim(0)  # or what was freed before would be taken again unseen
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = in_kb("VmRSS")
    call()
    print((in_kb("VmHWM") - before) / 1024)


def print_large(quick: bool) -> None:
    """Print time and peak memory of a fresh process that mattes a large picture with a narrow band."""
    image, _, trimap = picture(*(MEDIUM if quick else LARGE), NARROW, 120)
    with tempfile.TemporaryDirectory() as folder:
        write_picture(Path(folder) / "image.jpg", image)
        write_picture(Path(folder) / "trimap.png", np.float32(trimap / 255))
        command = [sys.executable, __file__, "--large", folder]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
    share = f"{image.shape[0] * image.shape[1] / 1e6:.1f} MP, {(trimap == 128).mean():.1%} unknown"
    print(f"{share}: {done.stdout.splitlines()[-1]}")


def matte_files(folder: Path) -> None:
    """Matte image.jpg by trimap.png and tell the time and the whole process's peak."""
    image, trimap = read_picture(folder / "image.jpg").image, as_layer("trimap", read_gray(folder / "trimap.png"))
    start = time.perf_counter(), time.process_time()
    closed_form_matting.stage.function(image, trimap)
    seconds, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    peak = in_kb("VmHWM") / 1024 if Path("/proc/self/status").exists() else float("nan")
    print(f"{seconds:.2f} s, processor {cpu:.2f} s, peak of the whole process {peak:.0f} MB")


def in_kb(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="up to 1 megapixel, three rounds")
    parser.add_argument("--peak", nargs=3, metavar=("WORK", "SIDE", "SIZE"), help="print one call's memory only")
    parser.add_argument("--large", metavar="FOLDER", help="matte the files of a folder and print the peak only")
    options = parser.parse_args()
    if options.large:
        matte_files(Path(options.large))
        return
    if options.peak:
        print_added_mb(*options.peak[:2], float(options.peak[2]))
        return
    sizes = [size for size in SIZES if size <= 1 or not options.quick]
    print(machine())
    row = "{:10} {:>5} {:>8} {:>7} {:>9} {:>9} {:>6} {:>10} {:>10} {:>9} {:>9} {:>9}".format
    print(row("work", "MP", "unknown", "threads", "bgkit s", "peer s", "ratio", "bgkit cpu", "peer cpu",
              "bgkit MB", "peer MB", "agreement"))  # fmt: skip
    for work in ("matting", "foreground"):
        for size in sizes:
            image, alpha, trimap = picture(*SIZES[size])
            band = trimap == 128 if work == "matting" else (alpha > 0) & (alpha < 1)
            sides = calls(work, *SIZES[size])
            apart = np.abs(sides["bgkit"]() - sides["peer"]())[band].max()
            memory = [added_mb(work, side, size) for side in ("bgkit", "peer")]
            for threads in (1, 2):
                set_threads(threads)
                taken = in_turn(sides, 3 if options.quick or size > 1 else 7)
                (ours, our_cpu), (peer, peer_cpu) = taken["bgkit"], taken["peer"]
                print(row(work, size, f"{band.mean():.1%}", threads, f"{ours:.3f}", f"{peer:.3f}", f"{peer / ours:.1f}",
                          f"{our_cpu:.3f}", f"{peer_cpu:.3f}", *(f"{mb:.0f}" for mb in memory), f"{apart:.1e}"),
                      flush=True)  # fmt: skip
    image, _, trimap = picture(*SIZES[0.25 if options.quick else 1.0])
    margins = [(size // 2, size // 2) for size in trimap.shape]
    large = np.pad(image, [*margins, (0, 0)], mode="edge"), np.pad(trimap, margins)
    taken = in_turn(
        {
            "alone": lambda: closed_form_matting.stage.function(image, trimap),
            "in a picture 4 times larger": lambda: closed_form_matting.stage.function(*large),
        },
        7,
    )
    for name, (seconds, cpu) in taken.items():
        print(f"the same band {name}: {seconds:.3f} s, processor {cpu:.3f} s")
    print_large(options.quick)


if __name__ == "__main__":
    main()
