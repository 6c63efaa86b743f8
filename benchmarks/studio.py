"""A studio's day in figures: how steady and how white the ground is over a series, what happens to the subject's
color, how true a kept shadow is, and what the checks flag.

    python -m benchmarks.studio [--quick] [--parts light,exposure,ground,shadow,checks] [--write]

``--write`` puts the tables of the parts that ran into docs/tutorials/studio.md.

On ``test/studio`` under ``BGKIT_DATA`` (by default ``../shared/data`` beside the checkout). Levels are of 255.

**light.** `ground`: mean level (luma) of the true background, shadows left out, one figure per shot; its spread over
the series is the largest minus the smallest. `within`: 5th to 95th percentile inside a shot, mean over the shots.
`subject dE`: mean dE*uv between the subject (alpha > 0.99) and its true color, as ``foregrounds`` has it: the subject
under even light, before shadow, noise and JPEG; `chroma` the part of it that is not lightness. `cut`: share of the
subject's pixels at 255 that were not there before.

**exposure.** The same ground when every shot is also taken 1/3 and 2/3 of a stop darker: one series of three exposures.

**ground.** The finished picture, framing left out. `pure`: share of the true background (alpha 0) at 255 +- 1 in all
channels, outside the true shadow where a shadow is kept; `worst` of the shots; `away`: the same more than 4 px from
the subject; `SAD`: sum of alpha's error / 1000.

**shadow.** The true shadow is picture over plate on the true background, both blurred over 3 px there only, exposure
settled by the upper fifth, and 1 where it is nearer to that than 1 %. The finished picture is compared with true alpha,
true color and true shadow put on white: root mean square of levels on the true background where the shadow is deeper
than 2 % (`in`), and where there is none (`out`). `depth`: kept depth of the shadow by the true one, summed.

**checks.** For each finding of ``product``: on how many of the shots it flags, and on how many of the shots spoilt to
provoke it (benchmarks/spoiling.py).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.pages import write
from benchmarks.spoiling import SPOILERS, Spoiler
from bgkit import load_pipeline
from bgkit.color import linear_from_srgb, luv_from_srgb, srgb_from_linear
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.samples import Sample
from bgkit.findings import FINDINGS
from bgkit.imagefile import read_picture
from bgkit.stages import composite, flat_field, white_balance

Array = NDArray[Any]
LUMA = np.array([[0.2126, 0.7152, 0.0722]], np.float32)
KINDS = ("white", "falloff", "grey", "green")


def both(image: Array, plate: Array | None) -> Array:
    return white_balance(flat_field(image, plate), None)


WAYS: dict[str, Callable[[Array, Array], Array]] = {
    "as shot": lambda image, plate: image,
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
    lit = _lit(image, alpha, plate)
    subject = alpha > 0.99
    shift = luv_from_srgb(made[subject]) - luv_from_srgb(true[subject])
    top = 254.5 / 255
    cut = (made[subject].max(1) >= top).mean() - (image[subject].max(1) >= top).mean()
    whole, chroma = np.sqrt((shift**2).sum(1)).mean(), np.hypot(shift[:, 1], shift[:, 2]).mean()
    return float(luma[lit].mean()), float(np.ptp(np.percentile(luma[lit], [5, 95]))), whole, chroma, max(cut, 0.0)


def _lit(image: Array, alpha: Array, plate: Array) -> Array:
    """Return the true background without shadows."""
    ratio = cv2.blur(cv2.transform(image, LUMA), (9, 9)) / cv2.blur(cv2.transform(plate, LUMA), (9, 9))
    far = cv2.erode((alpha < 0.01).astype(np.uint8), np.ones((9, 9))) > 0
    lit: Array = far & (ratio > np.median(ratio[far]) * 0.97)
    return lit


def arrays_of(sample: Sample) -> tuple[Array, Array, Array, Array]:
    assert sample.plate is not None
    assert sample.foreground is not None
    plate, true = (read_picture(path).image for path in (sample.plate, sample.foreground))
    return sample.read_image(), sample.read_truth(), plate, true


def exposure(samples: Sequence[Sample]) -> list[dict[str, str]]:
    """Return the rows of the table of a series in three exposures."""
    rows = []
    for kind in ("white", "falloff"):
        levels: dict[str, list[float]] = {name: [] for name in WAYS}
        for sample in (sample for sample in samples if sample.kind == kind):
            image, alpha, plate, _ = (np.float32(each) for each in arrays_of(sample))
            lit = _lit(image, alpha, plate)
            for stops in (0.0, 1 / 3, 2 / 3):
                darker = srgb_from_linear(linear_from_srgb(image) * 2.0**-stops).astype(np.float32)
                for name, way in WAYS.items():
                    levels[name].append(255 * float(cv2.transform(way(darker, plate), LUMA)[lit].mean()))
        row = {name: f"{np.mean(got):.1f} (spread {np.ptp(got):.1f})" for name, got in levels.items()}
        rows.append({"kind": kind, **row})
    return rows


def finished(samples: Sequence[Sample]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return the rows of the tables of ground and shadow; each picture is matted once for both."""
    grounds, shadows = [], []
    for name in ("studio-white", "product"):
        pipeline = load_pipeline(name)
        steps = tuple(step for step in pipeline.steps if step.name not in ("composite", "frame"))
        pipeline = replace(pipeline, steps=steps, checks={})
        for kind in ("white", "falloff", "grey"):
            ground: dict[str, list[tuple[float, ...]]] = {}
            shadow: dict[str, list[tuple[float, ...]]] = {}
            for sample in (sample for sample in samples if sample.kind == kind):
                alpha, ways, white, true = _ways(pipeline, sample)
                error = float(abs(alpha - sample.read_truth()).sum()) / 1000
                clear = sample.read_truth() == 0
                for way, made in ways.items():
                    where = clear & (true > 0.99) if "kept" in way else clear
                    ground.setdefault(way, []).append((*_pure(made, where), error))
                    shadow.setdefault(way, []).append(_shadow_error(made, white, true, clear))
            for way, figures in ground.items():
                pure, away, sad = np.array(figures).T
                cells = (f"{pure.mean():.2%}", f"{pure.min():.2%}", f"{away.mean():.3%}", f"{away.min():.2%}")
                names = ("pure", "worst", "away", "worst away")
                row = {"pipeline": name, "kind": kind, "shadow": way, **dict(zip(names, cells, strict=True))}
                grounds.append({**row, "SAD": f"{sad.mean():.2f}"})
            inside = {way: f"{_rms(figures, 0):.2f}" for way, figures in shadow.items()}
            outside = {f"{way}, out": f"{_rms(figures, 1):.2f}" for way, figures in shadow.items()}
            deep = {way: np.array(figures)[:, 2:].sum(0) for way, figures in shadow.items() if way != "dropped"}
            depth = {f"{way}, depth": f"{kept / true:.0%}" for way, (kept, true) in deep.items()}
            shadows.append({"pipeline": name, "kind": kind, **inside, **outside, **depth})
    return grounds, shadows


def _ways(pipeline: Any, sample: Sample) -> tuple[Array, dict[str, Array], Array, Array]:
    """Return alpha, the finished pictures, the true picture on white, and the true shadow as a factor."""
    image, alpha, plate, color = (np.float32(each) for each in arrays_of(sample))
    layers = pipeline.run(image)
    of = (layers.image, layers.alpha, layers.foreground)
    ways = {
        "dropped": composite(*of),
        "kept, fitted": composite(*of, shadow="keep"),
        "kept, plate": composite(image, *of[1:], plate=plate, shadow="keep"),
    }
    true = true_shadow(image, alpha, plate)
    white = alpha[..., None] * color + (1 - alpha[..., None]) * true[..., None]
    return layers.alpha, ways, white, true


def true_shadow(image: Array, alpha: Array, plate: Array) -> Array:
    """Return how much of the light is left on the true background, 0..1; 1 where nothing tells."""
    clear = (alpha == 0).astype(np.float32)
    lit, empty = (cv2.GaussianBlur(cv2.transform(each, LUMA) * clear, (0, 0), 3) for each in (image, plate))
    seen = cv2.GaussianBlur(clear, (0, 0), 3) > 0.05
    ratio = np.divide(lit, empty, out=np.ones_like(lit), where=seen)
    factor = np.minimum(ratio / np.percentile(ratio[(clear > 0) & seen], 80), 1)
    return np.where(seen & (factor < 0.99), factor, 1).astype(np.float32)


def _pure(made: Array, where: Array) -> tuple[float, float]:
    """Return the shares of ``where`` at 255 +- 1, and of the part of it more than 4 px from the subject."""
    pure = made.min(axis=2) >= 253.5 / 255
    away = cv2.erode(where.astype(np.uint8), np.ones((9, 9))) > 0
    return float(pure[where].mean()), float(pure[away].mean())


def _shadow_error(made: Array, white: Array, true: Array, clear: Array) -> tuple[float, ...]:
    """Return the mean square error in and out of the shadow, and the depth summed, kept and true."""
    inside, outside = clear & (true < 0.98), clear & (true == 1)
    square = 255**2 * ((made - white) ** 2).mean(axis=2)
    depth = 1 - made.mean(axis=2)
    return (
        float(square[inside].mean()) if inside.any() else 0.0,
        float(square[outside].mean()),
        float(depth[inside].sum()),
        float((1 - true[inside]).sum()),
    )


def _rms(figures: list[tuple[float, ...]], column: int) -> float:
    return float(np.sqrt(np.array(figures)[:, column].mean()))


def checks(samples: Sequence[Sample]) -> list[dict[str, str]]:
    """Return the rows of the table of findings: what is flagged on good shots and on spoilt ones."""
    pipeline = load_pipeline("product").with_values({"frame.size": 0})  # the shots are smaller than shops ask for
    pipeline = replace(pipeline, checks={name: each for name, each in pipeline.checks.items() if name != "pixels"})
    seen = [_findings(pipeline, sample.read_image()) for sample in samples]
    rows = []
    for name in pipeline.checks:
        values = [found[name]["value"] for found in seen if name in found]  # what cannot be judged is not found
        flagged = sum(found[name]["flagged"] for found in seen if name in found)
        spread = _spread(values)
        limit = f"{FINDINGS[name].limit} {pipeline.checks[name]:g}"
        rows.append({"picture": "as shot", "finding": name, "threshold": limit, "least / median / most": spread})
        rows[-1]["flagged"] = f"{flagged} of {len(seen)}"
    some = [sample for sample in samples if sample.kind == "white"][::3]
    for title, (names, spoil) in SPOILERS.items():
        found = [_findings(pipeline, _spoilt(spoil, sample)) for sample in some]
        values = [each[names[0]]["value"] for each in found if names[0] in each]
        hits = sum(any(each[name]["flagged"] for name in names if name in each) for each in found)
        spread = _spread(values)
        rows.append({"picture": title, "finding": " or ".join(names), "threshold": "", "least / median / most": spread})
        rows[-1]["flagged"] = f"{hits} of {len(some)}"
    return rows


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):.3g} / {np.median(values):.3g} / {max(values):.3g}" if values else ""


def _findings(pipeline: Any, image: Array) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = pipeline.run(image).facts["findings"]
    return found


def _spoilt(spoil: Spoiler, sample: Sample) -> Array:
    image, alpha, plate, color = arrays_of(sample)
    return np.ascontiguousarray(np.clip(spoil(image, alpha, color, plate), 0, 1), np.float32)


def table(rows: list[dict[str, str]]) -> str:
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


PARTS = ("light", "exposure", "ground", "shadow", "checks")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "tutorials" / "studio.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three shots of each kind")
    parser.add_argument("--parts", default=",".join(PARTS), help="which tables; default: all")
    parser.add_argument("--write", action="store_true", help=f"also write them into {PAGE.name}")
    options = parser.parse_args()
    parts = options.parts.split(",")
    folder = Path(os.environ.get("BGKIT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    samples = sorted(open_dataset("studio", folder / "test" / "studio"), key=lambda sample: sample.name)
    if options.quick:
        samples = [sample for sample in samples if sample.name.partition("-")[0] in ("GT02", "GT08", "GT16")]
    for part, text in measured(samples, parts):
        print(f"## {part}\n\n{text}\n", flush=True)
        if options.write:
            write(PAGE, {part: text})
    return 0


def measured(samples: Sequence[Sample], parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give the name and the text of each part, as soon as it is known."""
    shots = f"{len(samples)} studio shots, {len(samples) // len(KINDS)} subjects."
    for name, rows in (("light", light), ("exposure", exposure)):
        if name in parts:
            yield name, f"{shots}\n\n{table(rows(samples))}"
    if {"ground", "shadow"} & set(parts):
        for name, made in zip(("ground", "shadow"), finished(samples), strict=True):
            yield name, f"{shots}\n\n{table(made)}"
    if "checks" in parts:
        yield "checks", f"{shots}\n\n{table(checks(samples))}"


if __name__ == "__main__":
    sys.exit(main())
