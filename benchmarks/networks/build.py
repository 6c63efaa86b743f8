"""Make the embedded network from its two halves, the same byte for byte.

    python benchmarks/networks/build.py bgkit/models/weights/coarse.onnx

One half is the first network of ``coarse-2.onnx``, trained from scratch; the other is ``pyramid-long.onnx``, whose
encoder began with ImageNet, and whose last training began with ``pyramid.onnx``, the half of versions 3 and 4.
``docs/explanation/embedded-network.md`` says how each came about, and why both.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from onnx.utils import extract_model

from bgkit.files import digest_of
from bgkit.train.joining import join

HERE = Path(__file__).parent
FIRST = "/Sigmoid_output_0"  # answer of the first network of coarse-2.onnx


def build(target: Path) -> None:
    """Write the embedded network."""
    with tempfile.TemporaryDirectory() as folder:
        join([first_half(Path(folder)), HERE / "pyramid-long.onnx"], target)


def first_half(folder: Path) -> Path:
    """Write the first network of ``coarse-2.onnx`` into a folder, with its card beside it, and return where."""
    half = folder / "half.onnx"
    extract_model(HERE / "coarse-2.onnx", half, ["image"], [FIRST], check_model=False)
    card = (HERE / "coarse-2.toml").read_text(encoding="utf-8")
    card = re.sub(r'sha256 = "\w+"\nbytes = \d+', f'sha256 = "{digest_of(half)}"\nbytes = {half.stat().st_size}', card)
    card = card.replace('"coarse-2.onnx"', '"half.onnx"').replace('name = "mask"', f'name = "{FIRST}"')
    half.with_suffix(".toml").write_text(card, encoding="utf-8")
    return half


if __name__ == "__main__":
    build(Path(sys.argv[1]))
