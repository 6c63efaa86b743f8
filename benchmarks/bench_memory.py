"""Memory and processor seconds of every shipped pipeline, at 1 and at 12 megapixels.

    python benchmarks/bench_memory.py [--quick] [--pipelines auto,fast] [--write]

The picture is the scene that the pipeline's page of the site shows, enlarged, with what the pipeline needs beside it.
Each run has a process of its own, from the start of Python to the finished layers, with one thread and only the result
kept, as the command line does. Memory is the peak of that whole process (Linux only); seconds are processor time of
the pipeline alone, after a small picture that loads the network. An enlarged drawing is smooth: hair on a photograph
has a wider band to solve, and takes more of both.

``--write`` puts the lines into docs/reference/quality.md, from which each pipeline's page takes its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

import bgkit
from benchmarks.bench_matting import in_kb
from benchmarks.pages import block, write
from benchmarks.quality import PAGE, markdown, read_table
from bgkit.pipelinefile import shipped

ROOT = Path(__file__).resolve().parents[1]
SIZES = (1, 12)  # megapixels


def measure(name: str, megapixels: float) -> dict[str, float]:
    """Run a pipeline on a small picture and then on a large one; return MB at most, and the large one's seconds."""
    sys.path.insert(0, str(ROOT / "docs"))
    from made.effects import scene
    from made.pipelines import SCENES

    bgkit.set_threads(1)
    cv2.setNumThreads(1)
    pipeline = bgkit.load_pipeline(name)
    layers = scene(SCENES[name])
    needed = ("image", *(name for name in pipeline.needs() if name != "image"))
    small = {layer: np.asarray(getattr(layers, layer)) for layer in needed}
    side = round((megapixels * 1e6) ** 0.5)
    large = {layer: enlarged(array, side) for layer, array in small.items()}
    pipeline.run(small.pop("image"), **small, keep=["result"])
    busy = time.process_time()
    pipeline.run(large.pop("image"), **large, keep=["result"])
    return {"seconds": time.process_time() - busy, "peak": in_kb("VmHWM") / 1024}


def enlarged(layer: np.ndarray, side: int) -> np.ndarray:
    """Return a layer as a square of ``side`` px; labels stay labels."""
    how = cv2.INTER_NEAREST if layer.dtype == np.uint8 else cv2.INTER_CUBIC
    large = cv2.resize(layer, (side, side), interpolation=how)
    return large if layer.dtype == np.uint8 else np.clip(large, 0, 1)


def line(name: str, sizes: tuple[float, ...]) -> dict[str, str]:
    """Return the cells of a pipeline, each size measured in a process of its own."""
    cells = {"set": "drawn", "pipeline": name}
    found = {}
    for megapixels in sizes:
        command = [sys.executable, __file__, "--measure", name, str(megapixels)]
        done = subprocess.run(command, capture_output=True, check=True, text=True, cwd=ROOT)
        found[megapixels] = json.loads(done.stdout.splitlines()[-1])
    cells |= {f"memory at {size:g} MP, MB": f"{figures['peak']:.0f}" for size, figures in found.items()}
    return cells | {f"CPU s at {size:g} MP": f"{figures['seconds']:.2f}" for size, figures in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="0.25 megapixels, three pipelines")
    parser.add_argument("--pipelines", help="names, by comma; default: all shipped")
    parser.add_argument("--write", action="store_true", help=f"put these lines into {PAGE.name}")
    parser.add_argument("--measure", nargs=2, metavar=("PIPELINE", "MP"), help="one process's part only")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], float(options.measure[1]))))
        return
    names = options.pipelines.split(",") if options.pipelines else shipped()[:3] if options.quick else shipped()
    rows = []
    for name in names:
        rows.append(line(name, (0.25,) if options.quick else SIZES))
        print(rows[-1], file=sys.stderr, flush=True)
        if options.write:
            put(rows)
    print(markdown(rows))


def put(rows: list[dict[str, str]]) -> None:
    """Write lines into the page, in place of those of the same pipelines."""
    kept = read_table(block(PAGE.read_text("utf-8"), "memory"))
    lines = {each["pipeline"]: each for each in (*kept, *rows)}
    write(PAGE, {"memory": markdown([lines[name] for name in sorted(lines)])}, some=True)


if __name__ == "__main__":
    main()
