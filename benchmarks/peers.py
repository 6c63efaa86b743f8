"""Kernels against the field's usual libraries, with the instructions of AVX2 and of AVX-512: ratios of medians.

    python -m benchmarks.peers [--quick] [--write]

Each row runs both sides in turn in one process of one thread, and says how many times longer the peer takes by the
processor's clock, which other work on the machine disturbs least. Both sides do the same: where the key follows
uneven light, smooths noise and tells shadows, so does the peer, which is given the fit of the light.
``BGKIT_ISA`` chooses our variant; OpenCV, pydensecrf
and PyMatting choose their own. A variant that the processor lacks is left out. ``--write`` puts the table into
docs/reference/speed.md. More sizes, memory and agreement: ``bench_crf.py``, ``bench_matting.py`` and ``bench_key.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from benchmarks import bench_crf, bench_key, bench_matting
from benchmarks.bench_large import put, said
from benchmarks.quality import markdown
from bgkit.backdrop import estimate_backdrop
from bgkit.stages import luv_threshold
from bgkit.threads import set_threads

VARIANTS = {"v3": "AVX2", "v4": "AVX-512"}
GOALS = {"dense CRF, 1 MP": 15, "closed form, 0.4 MP": 15, "closed form, 1 MP": 15, "closed form, 4 MP": 25}
GOALS |= {"color key, one color, 12 MP": 6, "color key, quiet, 12 MP": 6, "color key, noisy, 12 MP": 6}
MATTED = {0.4: (548, 730), 1.0: bench_matting.SIZES[1.0], 4.0: bench_matting.SIZES[4.0]}
NOISY = 0.02  # of full range, standard deviation; the drawn picture itself is quiet


def measure(quick: bool) -> dict[str, tuple[float, float]]:
    """Return, for each row, processor seconds of ours and of the peer."""
    set_threads(1)
    cv2.setNumThreads(1)
    ours, peer, *_ = bench_crf.measure(0.25 if quick else 1, "coffee", 1, 3, time.process_time)
    found = {"dense CRF, 1 MP": (ours, peer)}
    for size, shape in MATTED.items():
        if quick and size > 0.4:
            continue
        bench_matting.SIZES[size] = shape
        taken = bench_matting.in_turn(bench_matting.calls("matting", *shape), 1 if size > 1 else 3)
        found[f"closed form, {size:g} MP"] = taken["bgkit"][1], taken["peer"][1]
    for name, noise in (("quiet", 0.0), ("noisy", NOISY)):
        image = bench_key.picture(*((1000, 1000) if quick else (3000, 4000)))
        image += np.random.default_rng(1).standard_normal(image.shape, np.float32) * np.float32(noise)
        picture = np.clip(image, 0, 1)
        peer = partial(bench_key.whole_by_opencv, picture, estimate_backdrop(picture))
        works = {name: (partial(luv_threshold.stage.function, picture), peer)}
        if not noise:
            works["one color"] = partial(bench_key.of_one_color, picture), partial(bench_key.by_opencv, picture)
        for work, sides in works.items():
            taken = bench_matting.in_turn(dict(zip(("bgkit", "peer"), sides, strict=True)), 5)
            found[f"color key, {work}, 12 MP"] = taken["bgkit"][1], taken["peer"][1]
    return found


def of_variant(variant: str, quick: bool) -> dict[str, tuple[float, float]]:
    """Measure in a process of its own, in which the kernels are of that variant; nothing where there is none."""
    command = [sys.executable, "-m", "benchmarks.peers", "--measure", *(["--quick"] if quick else [])]
    env = {**os.environ, "BGKIT_ISA": variant, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        print(f"{variant}: {done.stderr.splitlines()[-1]}", file=sys.stderr)
        return {}
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small pictures")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reference/speed.md")
    parser.add_argument("--measure", action="store_true", help="one process's part only")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.quick)))
        return
    found = {name: of_variant(variant, options.quick) for variant, name in VARIANTS.items()}
    rows = []
    for work, goal in GOALS.items():
        row = {"work": work, "goal": f"{goal}"}
        for name, taken in found.items():
            if work in taken:
                ours, peer = taken[work]
                row |= {f"times, {name}": f"{peer / ours:.1f}", f"s, {name}": f"{ours:.3f} and {peer:.2f}"}
        if len(row) > 2:
            rows.append(row)
    text = f"{said()}\n\n{markdown(rows)}"
    print(text)
    if options.write:
        put({"peers": text})


if __name__ == "__main__":
    main()
