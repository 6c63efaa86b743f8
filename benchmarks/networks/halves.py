"""What each half of the embedded network gives by itself, beside what ships and what shipped before.

    python benchmarks/networks/halves.py --write

The networks are those that lie here: version 2 (``coarse-2.onnx``), its first network alone, the pyramid, version 6,
which pools the answers of these two, and version 8, the same in whole numbers. Pictures and metrics are those of
``benchmarks/model_card.py``. ``--write`` puts the table into docs/explanation/embedded-network.md, with ``--shipped``
what ships alone: the other rows stay.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from coarse_network import textures
from model_card import Picture, collect
from quality import markdown, read_table

from benchmarks.pages import block, write
from bgkit import stages
from bgkit.evaluate.metrics import summarize
from build import HERE, build, first_half

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "embedded-network.md"
SMALL = "ECSSD, subject below 10 % of the frame"


def row(name: str, model: str, few: int | None) -> dict[str, str]:
    """Return the table's line of one network."""

    def mask_of(image: Picture) -> Picture:
        return stages.cnn_mask(image, model=model)

    scores = collect(mask_of).scores
    ecssd, small, held = (summarize(scores[kind]) for kind in ("ECSSD", SMALL, "DUTS, held out"))
    studio = summarize([each for kind, found in scores.items() if kind.startswith("studio") for each in found])
    marked = np.array([(mask_of(picture) > 0.5).mean() for picture in textures(few)])
    return {
        "network": name,
        "ECSSD, F max": f"{ecssd['f_max']:.3f}",
        "MAE": f"{ecssd['mae']:.3f}",
        "IoU": f"{ecssd['iou']:.3f}",
        "small subjects, F max": f"{small['f_max']:.3f}",
        "DUTS held out, F max": f"{held['f_max']:.3f}",
        "MAE of these": f"{held['mae']:.3f}",
        "IoU of these": f"{held['iou']:.3f}",
        "studio, MAE": f"{studio['mae']:.3f}",
        "textures marked": f"{marked.mean():.1%}",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    parser.add_argument("--shipped", action="store_true", help="only the network that ships")
    parser.add_argument("--quick", action="store_true", help="the same, and 4 textures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sixth = Path(folder) / "coarse-6.onnx"
        build(sixth, version="6")
        networks = {
            "version 2": HERE / "coarse-2.onnx",
            "its first network": first_half(Path(folder)),
            "the pyramid": HERE / "pyramid-longer.onnx",
            "version 6, the last two pooled": sixth,
            "version 8, the same in whole numbers: what ships": "coarse",
        }
        chosen = list(networks.items())[-1:] if options.quick or options.shipped else list(networks.items())
        rows = []
        for name, model in chosen:
            rows.append(row(name, str(model), 4 if options.quick else None))
            print(rows[-1], flush=True)
    if options.write and not options.quick:
        kept = read_table(block(PAGE.read_text("utf-8"), "halves"))[:-1] if options.shipped else []
        write(PAGE, {"halves": markdown([*kept, *rows])}, some=options.shipped)
    return 0


if __name__ == "__main__":
    sys.exit(main())
