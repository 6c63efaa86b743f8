"""How good the embedded network's mask is by itself, and how often it sees what is not there.

    python benchmarks/coarse_network.py --limit 50 --model coarse

Three questions, each over pictures of ``BGKIT_DATA`` (default ``../shared/data`` beside the checkout):

- ECSSD pictures: F max, F mean, MAE, IoU of the mask
- the empty plates of the studio set: which share of the frame it marks (above one half), though nothing is there
- the textures of ``train/backgrounds.tar``: the same

The mask is what the stage ``cnn_mask`` gives, at the picture's full size, never stretched on its own.
The salient-object figures stretch it, as the field does; the plain row does not.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray
from quality import data_folder, spread

from bgkit import stages
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.metrics import score, summarize
from bgkit.imagefile import read_picture

Mask = Callable[[NDArray[np.float32]], NDArray[np.float32]]
METRICS = ("mae", "f_max", "f_mean", "iou")


def on_subjects(mask_of: Mask, limit: int | None) -> None:
    samples = spread(open_dataset("ecssd", data_folder() / "test/ecssd"), limit)
    scores: dict[bool, list] = {True: [], False: []}
    seconds = []
    for sample in samples:
        image, truth = sample.read_image(), sample.read_truth()
        started = time.perf_counter()
        mask = mask_of(image)
        seconds.append(time.perf_counter() - started)
        for stretch, collected in scores.items():
            collected.append(score(mask, truth, names=METRICS, stretch=stretch))
    for stretch, collected in scores.items():
        figures = summarize(collected)
        cells = "  ".join(f"{name} {figures[name]:.4f}" for name in METRICS)
        print(f"ecssd, {'stretched' if stretch else 'plain':9}  {len(samples):4} pictures  {cells}")
    print(f"median {np.median(seconds) * 1000:.1f} ms per picture")


def on_nothing(name: str, mask_of: Mask, pictures: Iterator[NDArray[np.float32]]) -> None:
    marked = np.array([(mask_of(picture) > 0.5).mean() for picture in pictures])
    print(
        f"{name:16}  {len(marked):4} pictures  marked share: mean {marked.mean():.4f}  median {np.median(marked):.4f}  "
        f"90th percentile {np.quantile(marked, 0.9):.4f}  over 1 %: {(marked > 0.01).mean():.2f} of the pictures"
    )


def plates(limit: int | None) -> Iterator[NDArray[np.float32]]:
    for sample in spread(open_dataset("studio", data_folder() / "test/studio"), limit):
        yield sample.read_plate()


def textures(limit: int | None) -> Iterator[NDArray[np.float32]]:
    with tarfile.open(data_folder() / "train/backgrounds.tar") as archive:
        members = sorted((member for member in archive if member.isfile()), key=lambda member: member.name)
        for member in members[:: max(1, len(members) // limit)][:limit] if limit else members:
            yield read_picture(io.BytesIO(archive.extractfile(member).read())).image


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="coarse", help="a network's name, or an ONNX file")
    parser.add_argument("--limit", type=int, help="at most so many pictures of each kind")
    parser.add_argument("--quick", action="store_true", help="4 pictures of each kind")
    options = parser.parse_args()
    limit = 4 if options.quick else options.limit

    def mask_of(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return stages.cnn_mask(image, model=options.model)

    print(f"model: {options.model}")
    on_subjects(mask_of, limit)
    on_nothing("studio plates", mask_of, plates(limit))
    on_nothing("textures", mask_of, textures(limit))
    return 0


if __name__ == "__main__":
    sys.exit(main())
