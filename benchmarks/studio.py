"""A studio's day in figures: how steady the ground is over a series, what happens to the subject's color, how true
a kept shadow is.

    python benchmarks/studio.py [--quick]

On ``test/studio`` under ``BGKIT_DATA`` (by default ``../shared/data`` beside the checkout). Levels are of 255.

**Light.** `ground`: mean level (luma) of the true background, shadows left out, one figure per shot; its spread over
the series is the largest minus the smallest. `within`: 5th to 95th percentile inside a shot, mean over the shots.
`subject dE`: mean dE*uv between the subject (alpha > 0.99) and its true color; `chroma` the part of it that is not
lightness. `cut`: share of the subject's pixels at 255 that were not there before.

**Shadow.** The shot is put together again from true alpha, true subject color and the plate, without and with the
shadow that `composite` finds, and compared with the shot outside of the subject: root mean square error in levels,
noise of the two pictures (`floor`, from their differences between neighbors) included.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bgkit.color import luv_from_srgb
from bgkit.evaluate.datasets import Sample, open_dataset
from bgkit.imagefile import read_picture
from bgkit.stages import composite, flat_field, white_balance

Array = NDArray[Any]
LUMA = np.array([[0.2126, 0.7152, 0.0722]], np.float32)
KINDS = ("white", "falloff", "grey", "green")


def both(image: Array, plate: Array | None) -> Array:
    return white_balance(flat_field(image, plate), None)


WAYS: dict[str, Callable[[Array, Array], Array]] = {
    "as shot": lambda image, plate: image,
    "flat_field": lambda image, plate: flat_field(image),
    "flat_field, plate": flat_field,
    "both": lambda image, plate: both(image, None),
    "both, plate": both,
}


def light(samples: Sequence[Sample]) -> list[dict[str, str]]:
    """Return the rows of the first table."""
    rows = []
    for kind in KINDS:
        shots = [sample for sample in samples if sample.kind == kind]
        for name, way in WAYS.items():
            figures = [light_of_one(sample, way) for sample in shots]
            ground, within, whole, chroma, cut = np.array(figures).T
            rows.append(
                {
                    "kind": kind,
                    "stages": name,
                    "ground": f"{ground.mean():.1f}",
                    "spread": f"{np.ptp(ground):.1f}",
                    "within": f"{within.mean():.1f}",
                    "subject dE": f"{whole.mean():.1f}",
                    "chroma": f"{chroma.mean():.1f}",
                    "cut": f"{cut.mean():.2%}",
                }
            )
    return rows


def light_of_one(sample: Sample, way: Callable[[Array, Array], Array]) -> tuple[float, ...]:
    image, alpha, plate, true = (np.float32(each) for each in arrays_of(sample))
    made = way(image, plate)
    luma = cv2.blur(cv2.transform(made, LUMA), (9, 9)) * 255
    ratio = cv2.blur(cv2.transform(image, LUMA), (9, 9)) / cv2.blur(cv2.transform(plate, LUMA), (9, 9))
    far = cv2.erode((alpha < 0.01).astype(np.uint8), np.ones((9, 9))) > 0
    lit = far & (ratio > np.median(ratio[far]) * 0.97)  # no shadow
    subject = alpha > 0.99
    shift = luv_from_srgb(made[subject]) - luv_from_srgb(true[subject])
    top = 254.5 / 255
    cut = (made[subject].max(1) >= top).mean() - (image[subject].max(1) >= top).mean()
    whole, chroma = np.sqrt((shift**2).sum(1)).mean(), np.hypot(shift[:, 1], shift[:, 2]).mean()
    return float(luma[lit].mean()), float(np.ptp(np.percentile(luma[lit], [5, 95]))), whole, chroma, max(cut, 0.0)


def arrays_of(sample: Sample) -> tuple[Array, Array, Array, Array]:
    assert sample.plate is not None
    assert sample.foreground is not None
    plate, true = (read_picture(path).image for path in (sample.plate, sample.foreground))
    return sample.read_image(), sample.read_truth(), plate, true


def shadow(samples: Sequence[Sample]) -> list[dict[str, str]]:
    """Return the rows of the second table."""
    rows = []
    for kind in KINDS:
        figures = np.array([shadow_of_one(sample) for sample in samples if sample.kind == kind])
        squares = np.sqrt((figures**2).mean(0))
        names = ("dropped", "kept, plate", "kept, fitted", "floor")
        rows.append({"kind": kind, **{name: f"{value:.2f}" for name, value in zip(names, squares, strict=True)}})
    return rows


def shadow_of_one(sample: Sample) -> list[float]:
    """Return the error without, with the plate's, with the fitted shadow, and the noise."""
    image, alpha, plate, true = (np.float32(each) for each in arrays_of(sample))
    clear = alpha < 0.01
    exposed = plate * np.median(image[clear] / np.maximum(plate[clear], 0.01), axis=0)
    ground = np.clip(exposed, 0, 1).astype(np.float32)
    errors = []
    shades = np.ones_like(alpha), shade_of(image, alpha, plate), shade_of(image, alpha, None)
    for shade in shades:
        again = alpha[..., None] * true + (1 - alpha[..., None]) * ground * shade[..., None]
        errors.append(255 * float(np.sqrt(((again - image)[clear] ** 2).mean())))
    errors.append(255 * np.hypot(noise(image, clear), noise(ground, clear)))
    return errors


def shade_of(image: Array, alpha: Array, plate: Array | None) -> Array:
    """Return the kept shadow as one gray factor, through the stage's own door: over nothing, it is black's opacity."""
    opacity = composite(image, alpha, plate=plate, shadow="keep", background="none")[:, :, 3]
    return np.where(alpha < 1, (1 - opacity) / np.maximum(1 - alpha, 1e-3), 1).astype(np.float32)


def noise(image: Array, where: Array) -> float:
    """Return the standard deviation of pixel noise, from second differences along rows."""
    second = image[:, 1:-1] - (image[:, :-2] + image[:, 2:]) / 2
    return float(np.sqrt((second[where[:, 1:-1]] ** 2).mean() / 1.5))


def table(rows: list[dict[str, str]]) -> str:
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three shots of each kind")
    options = parser.parse_args()
    folder = Path(os.environ.get("BGKIT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    samples = sorted(open_dataset("studio", folder / "test" / "studio"), key=lambda sample: sample.name)
    if options.quick:
        samples = [sample for sample in samples if sample.name.partition("-")[0] in ("GT02", "GT08", "GT16")]
    print(f"## light\n\n{table(light(samples))}\n\n## shadow\n\n{table(shadow(samples))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
