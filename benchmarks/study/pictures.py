"""The pictures of the page: charts as SVG, and the drawn scenes beside what chains make of them.

Usage: python -m benchmarks.study.pictures FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.study.chains import ALONE, BEST, DEEP, KEY, chain
from benchmarks.study.keeping import recall
from benchmarks.study.modes import MODES
from benchmarks.study.page import BINS, mean, plain_bins
from benchmarks.study.scenes import SCENES, draw
from bgkit.imagefile import write_picture

__all__ = ["draw_charts", "draw_scenes"]

Array = NDArray[Any]

COLORS = {KEY: "#c77d12", DEEP: "#2f6fd0", BEST: "#2a9d6f", "auto": "#2a9d6f"}
COLUMNS = (*ALONE, "classical", "auto")
GROUND = np.float32([1.0, 0.42, 0.72])  # in no scene
LABEL = 22  # px
EDGE = 4  # px


def draw_charts(pictures: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write ``study-border.svg`` and ``study-failures.svg``."""
    groups = {
        f"{low:.0%} to {min(high, 1):.0%} ({len(group)})": {
            name: mean(group, name, "iou") for name in (KEY, DEEP, BEST)
        }
        for (low, high), group in zip(BINS, plain_bins(pictures), strict=True)
        if group
    }
    text = bars("IoU by how much of the picture's border shows one backdrop (pictures)", groups)
    (folder / "study-border.svg").write_text(text, encoding="utf-8")
    shares = {}
    for key, mode in MODES.items():
        cases = [one["modes"][key] for one in pictures if key in one["modes"]]
        if cases:
            shares[f"{mode.title} ({len(cases)})"] = {
                name: sum(name in one for one in cases) / len(cases) for name in (KEY, DEEP, "auto")
            }
    (folder / "study-failures.svg").write_text(bars("Share of cases that fail (cases)", shares), encoding="utf-8")


def bars(title: str, groups: Mapping[str, Mapping[str, float]]) -> str:
    """Return horizontal bars of values 0..1, in groups, as SVG with text on a white card."""
    wide, left, thick = 780, 270, 15
    lines = [f'<text x="12" y="24" font-size="15" font-weight="600">{title}</text>']
    names = list(next(iter(groups.values())))
    for place, name in enumerate(names):
        x = 12 + 200 * place
        lines.append(f'<rect x="{x}" y="38" width="11" height="11" fill="{COLORS[name]}"/>')
        lines.append(f'<text x="{x + 17}" y="48">{name}</text>')
    y = 66
    for group, held in groups.items():
        middle = y + thick * len(held) / 2 + 4
        lines.append(f'<text x="{left - 12}" y="{middle:.0f}" text-anchor="end">{group}</text>')
        for name, value in held.items():
            length = (wide - left - 60) * value
            lines.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{thick - 2}" fill="{COLORS[name]}"/>')
            lines.append(f'<text x="{left + length + 6:.1f}" y="{y + 11}" font-size="12">{value:.2f}</text>')
            y += thick
        y += 12
    style = 'font-family="system-ui, sans-serif" font-size="13" fill="#1d2024"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {y}" width="{wide}" height="{y}" {style}>'
    return "\n".join([head, f'<rect width="{wide}" height="{y}" rx="8" fill="#fff"/>', *lines, "</svg>"]) + "\n"


def draw_scenes(path: Path) -> None:
    """Write a row for each scene: the picture, then the cutouts of the chains on a ground that none has."""
    head = [_label(name) for name in ("picture", *COLUMNS)]
    rows = [np.hstack(head)]
    for drawing in SCENES.values():
        image, _ = draw(drawing)
        cells = [_framed(image)]
        for name in COLUMNS:
            alpha = chain(name).run(image).alpha
            assert alpha is not None
            cells.append(_framed(alpha[..., None] * image + (1 - alpha[..., None]) * GROUND))
        rows.append(np.hstack(cells))
    sheet = np.vstack(rows)
    size = sheet.shape[1] * 2 // 3, sheet.shape[0] * 2 // 3
    small = np.clip(cv2.resize(sheet, size, interpolation=cv2.INTER_AREA), 0, 1)
    write_picture(path, np.ascontiguousarray(small, np.float32), quality=82)


def _framed(image: Array) -> Array:
    return cv2.copyMakeBorder(image, EDGE, EDGE, EDGE, EDGE, cv2.BORDER_CONSTANT, value=(1, 1, 1))


def _label(text: str) -> Array:
    cell = np.full((LABEL + EDGE, 240 + 2 * EDGE, 3), 255, np.uint8)
    cv2.putText(cell, text, (EDGE, LABEL - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (25, 25, 25), 1, cv2.LINE_AA)
    return cell.astype(np.float32) / 255


if __name__ == "__main__":
    target = Path(sys.argv[1])
    draw_charts(recall(Path(__file__).with_name("figures.json"))["pictures"], target)
    draw_scenes(target / "study-scenes.jpg")
