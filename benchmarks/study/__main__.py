"""Measure the chains on the data at hand, and write the study's page.

    python -m benchmarks.study --workers 2                 # all of it; about 5 minutes on two idle cores
    python -m benchmarks.study --limit 20                  # at most 20 pictures of each set
    python -m benchmarks.study --only "saliency;grabcut"   # these chains alone; the others keep their figures
    python -m benchmarks.study --again                     # the page from the figures kept, nothing measured

The data lie under ``BGKIT_DATA``, by default ``../shared/data`` beside the checkout. The figures of every picture
are kept in ``benchmarks/study/figures.json``; the page's tables and sentences are made from them, between the markers
of ``docs/explanation/study.md``; the rest of the page is written by hand and holds no figure. Its pictures are drawn
when the site is built, by ``python -m benchmarks.study.pictures FOLDER``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import bgkit
from benchmarks.pages import write
from benchmarks.study.chains import CHAINS
from benchmarks.study.keeping import join, keep, recall
from benchmarks.study.measuring import examine, measure, samples
from benchmarks.study.page import blocks
from benchmarks.study.scenes import SCENES, draw

FIGURES = Path(__file__).with_name("figures.json")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "study.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page whose blocks are written anew")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="where the figures are kept")
    parser.add_argument("--limit", type=int, help="at most so many pictures of each set")
    parser.add_argument("--quick", action="store_true", help="4 pictures of each set")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--only", help="chains, by semicolon, whose figures are measured anew and put beside the others"
    )
    parser.add_argument("--again", action="store_true", help="only write the page, from the figures kept")
    options = parser.parse_args()
    if options.only:
        kept = recall(options.figures)
        keep(options.figures, join(kept, gather(None, options.workers, tuple(options.only.split(";")))))
    elif not options.again:
        limit = 4 if options.quick else options.limit
        keep(options.figures, gather(limit, options.workers))
    kept = recall(options.figures)
    write(options.output, blocks(kept), some=bool(options.only), fresh=not options.again)
    print(options.output)
    return 0


def gather(limit: int | None, workers: int, names: tuple[str, ...] = tuple(CHAINS)) -> dict[str, Any]:
    """Measure chains, and tell how far it is."""
    from bgkit.files import digest_of
    from bgkit.models.store import resolve

    total = len(samples(limit))
    pictures = []
    for number, record in enumerate(measure(limit, workers, names), 1):
        pictures.append(record)
        print(f"\r{number} of {total} pictures", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    scenes = [{"name": name, **examine(*draw(drawing), names)} for name, drawing in SCENES.items()]
    network = digest_of(resolve("coarse")[1])
    return {"bgkit": bgkit.__version__, "network": network, "pictures": pictures, "scenes": scenes}


if __name__ == "__main__":
    sys.exit(main())
