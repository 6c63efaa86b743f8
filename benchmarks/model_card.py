"""The figures and the pictures of the embedded network's model card, `docs/reference/model-card.md`.

    python benchmarks/model_card.py --write docs/reference/model-card.md
    python benchmarks/model_card.py --pictures docs/images

The table lies between two markers in the document and is put there anew. Pictures of a set are parted by rules that
anyone can repeat: the ground is busy or plain by the mean slope of its light (Sobel, per pixel of the true background
at 256 x 256), the subject small or large by its share of the frame. The held-out pictures are those that
training sets aside to choose a checkpoint. The photographs of both sets are sorted by what they show, too
(``benchmarks/kinds.py``).

The failures shown are of scikit-image's sample pictures: research pictures do not go into the repository.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from coarse_network import textures
from numpy.typing import NDArray
from quality import data_folder
from skimage import data

from benchmarks.held_out import held_out
from benchmarks.kinds import WHERE, kinds
from benchmarks.pages import write
from benchmarks.study.modes import reduced
from bgkit import stages
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.metrics import Score, score, summarize
from bgkit.imagefile import write_picture

Picture = NDArray[np.float32]
METRICS = ("f_max", "mae", "iou", "recall", "precision")


@dataclass
class Figures:
    """Of each kind of picture the scores, and of what is in pictures how much was found where the trouble lies."""

    scores: dict[str, list[Score]] = field(default_factory=lambda: defaultdict(list))
    within: dict[str, list[tuple[Score, float]]] = field(default_factory=lambda: defaultdict(list))

    def see_within(self, name: str, image: Picture, truth: Picture, mask: Picture, figures: Score) -> None:
        """Note what is in a photograph."""
        for kind, place in kinds(name, image, truth).items():
            self.within[kind].append((figures, float(reduced(mask)[place].mean())))


def ground_slope(image: Picture, truth: Picture) -> float:
    """Mean slope of the light over the true background, at 256 x 256; larger is busier."""
    gray = cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA) @ np.float32([0.299, 0.587, 0.114])
    ground = cv2.erode((cv2.resize(truth, (256, 256)) < 0.5).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    slope = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    return float(slope[ground].mean()) if ground.any() else 0.0


def collect(mask_of: Callable[[Picture], Picture]) -> Figures:
    """Scores by kind of picture."""
    collected = Figures()
    scores, found = collected.scores, []
    for sample in open_dataset("ecssd", data_folder() / "test/ecssd"):
        image, truth = sample.read_image(), sample.read_truth()
        mask = mask_of(image)
        figures = score(mask, truth, names=METRICS)
        found.append((ground_slope(image, truth), float(truth.mean()), figures))
        collected.see_within(sample.name, image, truth, mask, figures)
    calm, busy = np.quantile([slope for slope, _, _ in found], [1 / 3, 2 / 3])
    for slope, share, figures in found:
        scores["ECSSD"].append(figures)
        if slope <= calm:
            scores["ECSSD, the third with the plainest ground"].append(figures)
        if slope >= busy:
            scores["ECSSD, the third with the busiest ground"].append(figures)
        if share < 0.1:
            scores["ECSSD, subject below 10 % of the frame"].append(figures)
        if share > 0.4:
            scores["ECSSD, subject above 40 % of the frame"].append(figures)
    for name, of in (("studio", "studio"), ("studio-hard", "hard studio shots")):
        for sample in open_dataset("studio", data_folder() / "test" / name):
            figures = score(mask_of(sample.read_image()), sample.read_truth(), names=(*METRICS, "sad"))
            scores[f"{of}, {sample.kind}"].append(figures)
    for sample in held_out():
        image, truth = sample.read_image(), sample.read_truth()
        mask = mask_of(image)
        figures = score(mask, truth, names=METRICS)
        scores[sample.kind].append(figures)
        collected.see_within(sample.name, image, truth, mask, figures)
    return collected


def plates(name: str) -> Iterator[Picture]:
    """The empty sets of studio shots."""
    for sample in open_dataset("studio", data_folder() / "test" / name):
        yield sample.read_plate()


def tables(model: str) -> str:
    """The Markdown that stands between the markers."""

    def mask_of(image: Picture) -> Picture:
        return stages.cnn_mask(image, model=model)

    collected = collect(mask_of)
    lines = [
        "| pictures | number | F max | MAE | IoU | precision | recall | SAD |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, scores in collected.scores.items():
        figures = summarize(scores)
        cells = " | ".join(f"{figures[name]:.3f}" for name in ("f_max", "mae", "iou", "precision", "recall"))
        sad = f"{figures['sad']:.1f}" if "sad" in figures else ""
        lines.append(f"| {kind} | {len(scores)} | {cells} | {sad} |")
    lines += ["", "| in the picture | number | F max | MAE | IoU | where | found there | less than half |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for kind, where in WHERE.items():
        figures = summarize([each for each, _ in collected.within[kind]])
        there = np.array([share for _, share in collected.within[kind]])
        cells = " | ".join(f"{figures[name]:.3f}" for name in ("f_max", "mae", "iou"))
        lines.append(f"| {kind} | {len(there)} | {cells} | {where} | {there.mean():.0%} | {(there < 0.5).sum()} |")
    lines += ["", "| nothing there | number | marked, mean | over 1 % marked |", "|---|---|---|---|"]
    for name, pictures in (
        ("empty studio plates", plates("studio")),
        ("plates of the hard studio shots", plates("studio-hard")),
        ("textures", textures(None)),
    ):
        marked = np.array([(mask_of(picture) > 0.5).mean() for picture in pictures])
        lines.append(f"| {name} | {len(marked)} | {marked.mean():.2%} | {(marked > 0.01).mean():.0%} |")
    return "\n".join(lines)


def scenes() -> dict[str, Picture]:
    """Pictures that everyone has, on which coarse networks are known to fail."""
    return {
        "dark": data.astronaut().astype(np.float32) / 255 * np.float32(0.12),
        "product": data.coffee().astype(np.float32) / 255,
        "cut": data.chelsea()[:, 150:330].astype(np.float32) / 255,
        "many": np.repeat(data.coins()[..., None], 3, 2).astype(np.float32) / 255,
        "thin": data.rocket().astype(np.float32) / 255,
        "texture": np.repeat(data.gravel()[..., None], 3, 2).astype(np.float32) / 255,
    }


def strip(image: Picture, mask: Picture, height: int = 160) -> Picture:
    """Picture, mask, and the picture where the mask is, on checkerboard."""
    scale = height / image.shape[0]
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_AREA)[..., None]
    row, col = np.mgrid[: image.shape[0], : image.shape[1]] // 8
    board = np.where((row + col) % 2, 0.6, 0.8)[..., None].astype(np.float32)
    return np.hstack([image, np.repeat(mask, 3, 2), mask * image + (1 - mask) * board])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="coarse", help="a network's name, or an ONNX file")
    parser.add_argument("--write", type=Path, help="a document whose table is put anew")
    parser.add_argument("--pictures", type=Path, help="a folder for the pictures of failures")
    options = parser.parse_args()
    if options.pictures:
        for name, image in scenes().items():
            write_picture(
                options.pictures / f"coarse-{name}.jpg", strip(image, stages.cnn_mask(image, model=options.model))
            )
        return 0
    text = tables(options.model)
    print(text)
    if options.write:
        write(options.write.resolve(), {"figures": text})
    return 0


if __name__ == "__main__":
    sys.exit(main())
