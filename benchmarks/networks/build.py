"""Make the embedded network from its two halves, the same byte for byte.

    python benchmarks/networks/build.py bgkit/models/weights/coarse.onnx
    python benchmarks/networks/build.py coarse-5.onnx --pyramid benchmarks/networks/pyramid-long.onnx --version 5

One half is the first network of ``coarse-2.onnx``, trained from scratch; the other is ``pyramid-longer.onnx``, whose
encoder began with ImageNet. Its training went on from ``pyramid.onnx``, the half of versions 3 and 4, by way of
``pyramid-long.onnx``, that of version 5.
``docs/explanation/embedded-network.md`` says how each came about, and why both. With ``--version`` a card is written
beside the file, so that ``bgkit models add`` takes it.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

from onnx.utils import extract_model

from bgkit.files import digest_of
from bgkit.train.joining import join

HERE = Path(__file__).parent
CARD = HERE.parents[1] / "bgkit" / "models" / "cards" / "coarse.toml"
FIRST = "/Sigmoid_output_0"  # answer of the first network of coarse-2.onnx


def build(target: Path, pyramid: Path = HERE / "pyramid-longer.onnx", version: str = "") -> None:
    """Write the embedded network of a pyramid, and with a ``version`` its card."""
    with tempfile.TemporaryDirectory() as folder:
        join([first_half(Path(folder)), pyramid], target)
    if version:
        card = re.sub(r'(?m)^version = ".*"', f'version = "{version}"', CARD.read_text(encoding="utf-8"))
        card = card.replace('name = "coarse"', f'name = "{target.stem}"').replace('"coarse.onnx"', f'"{target.name}"')
        target.with_suffix(".toml").write_text(_of_file(card, target), encoding="utf-8")


def first_half(folder: Path) -> Path:
    """Write the first network of ``coarse-2.onnx`` into a folder, with its card beside it, and return where."""
    half = folder / "half.onnx"
    extract_model(HERE / "coarse-2.onnx", half, ["image"], [FIRST], check_model=False)
    card = (HERE / "coarse-2.toml").read_text(encoding="utf-8")
    card = _of_file(card, half).replace('"coarse-2.onnx"', '"half.onnx"').replace('name = "mask"', f'name = "{FIRST}"')
    half.with_suffix(".toml").write_text(card, encoding="utf-8")
    return half


def _of_file(card: str, file: Path) -> str:
    """Return a card with the digest and the size of a file."""
    known = f'sha256 = "{digest_of(file)}"\nbytes = {file.stat().st_size}'
    return re.sub(r'sha256 = "\w+"\nbytes = \d+', known, card)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("--pyramid", type=Path, default=HERE / "pyramid-longer.onnx", help="its other half")
    parser.add_argument("--version", default="", help="of an older network, for its card")
    options = parser.parse_args()
    build(options.target, options.pyramid, options.version)
