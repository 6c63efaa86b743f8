"""Make the embedded network from its two halves, the same byte for byte.

    python benchmarks/networks/build.py bgkit/models/weights/coarse.onnx
    python benchmarks/networks/build.py coarse-6.onnx --version 6
    python benchmarks/networks/build.py coarse-5.onnx --pyramid benchmarks/networks/pyramid-long.onnx --version 5
    python benchmarks/networks/build.py --calibrate ../shared/data/train

One half is the first network of ``coarse-2.onnx``, trained from scratch; the other is ``pyramid-longer.onnx``, whose
encoder began with ImageNet. Its training went on from ``pyramid.onnx``, the half of versions 3 and 4, by way of
``pyramid-long.onnx``, that of version 5.
``docs/explanation/embedded-network.md`` says how each came about, and why both. What ships counts in whole numbers;
``ranges.json`` has the smallest and the largest value of each map, and ``--calibrate`` measures them anew on training
pictures. With ``--version`` an older network is written, which counts in float32, and a card beside it, so that
``bgkit models add`` takes it.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path

import onnx
from onnx.utils import extract_model

from bgkit.models.card import read_card
from bgkit.train.exportcard import copy_card
from bgkit.train.joining import join
from bgkit.train.whole_numbers import count_in_whole_numbers, ranges_of, shown

HERE = Path(__file__).parent
CARD = HERE.parents[1] / "bgkit" / "models" / "cards" / "coarse.toml"
RANGES = HERE / "ranges.json"
FIRST = "/Sigmoid_output_0"  # answer of the first network of coarse-2.onnx


def build(target: Path, pyramid: Path = HERE / "pyramid-longer.onnx", version: str = "") -> None:
    """Write the embedded network, or the ``version`` made of another pyramid, with its card."""
    with tempfile.TemporaryDirectory() as folder:
        join([first_half(Path(folder)), pyramid], target)
    if version:
        copy_card(CARD, target)
        card = target.with_suffix(".toml")
        text = re.sub(r'(?m)^version = ".*"', f'version = "{version}"', card.read_text(encoding="utf-8"))
        card.write_text(text, encoding="utf-8")
        return
    model = onnx.load(target)
    count_in_whole_numbers(model, json.loads(RANGES.read_text(encoding="utf-8")))
    onnx.checker.check_model(model)
    target.write_bytes(model.SerializeToString(deterministic=True))


def calibrate(folder: str) -> None:
    """Write the ranges of the embedded network's maps on training pictures."""
    with tempfile.TemporaryDirectory() as temporary:
        joined = Path(temporary, "joined.onnx")
        join([first_half(Path(temporary)), HERE / "pyramid-longer.onnx"], joined)
        ranges = ranges_of(onnx.load(joined), shown(read_card(CARD), folder))
    lines = [f"{json.dumps(name)}: {json.dumps(ends)}" for name, ends in ranges.items()]
    RANGES.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def first_half(folder: Path) -> Path:
    """Write the first network of ``coarse-2.onnx`` into a folder, with its card beside it, and return where."""
    half = folder / "half.onnx"
    extract_model(HERE / "coarse-2.onnx", half, ["image"], [FIRST], check_model=False)
    copy_card(HERE / "coarse-2.toml", half)
    card = half.with_suffix(".toml")
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace('name = "mask"', f'name = "{FIRST}"'), encoding="utf-8")
    return half


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, nargs="?")
    parser.add_argument("--pyramid", type=Path, default=HERE / "pyramid-longer.onnx", help="its other half")
    parser.add_argument("--version", default="", help="of an older network, for its card")
    parser.add_argument("--calibrate", metavar="FOLDER", help=f"of training pictures: write {RANGES.name}")
    options = parser.parse_args()
    if (options.target is None) == (options.calibrate is None):
        parser.error("expected the file to write, or --calibrate and a folder")
    if options.calibrate:
        calibrate(options.calibrate)
    else:
        build(options.target, options.pyramid, options.version)
