"""Run the examples of the gallery, and make a page of each.

Usage: python docs/gallery_pages.py FOLDER

An example is one Python file in ``docs/gallery``: its docstring is the title and the text of its page, its code stands
on the page as it is, then what it printed and the pictures that it handed to ``show``. All run in this process, each in
an empty folder. ``FOLDER`` gets a Markdown page for each, its pictures beside it, and ``index.md``.
"""

from __future__ import annotations

import ast
import contextlib
import io
import logging
import runpy
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np

from bgkit import stage
from bgkit.imagefile import write_picture

HERE = Path(__file__).parent / "gallery"
sys.path.insert(0, str(HERE))

import show  # noqa: E402

GROUPS = {
    "Pictures of products": [
        "product_on_white",
        "shop_frame",
        "white_on_white",
        "shadow_kept",
        "series_at_one_scale",
        "flat_field",
        "white_balance",
    ],
    "People, hair, glass": ["portrait", "hair", "glass", "renderings_on_black_and_white", "new_background"],
    "Screens, plates, strokes, masks": [
        "green_screen",
        "empty_plate",
        "strokes",
        "brush",
        "own_mask",
        "background_without_subject",
    ],
    "Networks": ["own_network", "small_subject", "ensemble", "grabcut_and_saliency"],
    "Step by step": [
        "every_step",
        "dense_crf",
        "morphology",
        "trimap_from_a_mask",
        "matting_methods",
        "foreground_colors",
        "plugin_stage",
    ],
    "Measuring": ["comparing", "sweep", "metrics", "confidence", "batch_with_findings"],
    "Moving pictures": ["moving_pictures"],
    "Many pictures": ["command_line", "watch_folder", "zip_of_results", "dask_cluster", "server"],
    "Files and tools": ["sixteen_bit_tiff", "layered_file", "notebook"],
}
ACROSS = 3  # examples in a row of the index
SUPPORT = ("show", "scenes")  # modules that examples import


class Example(NamedTuple):
    """An example's file taken apart."""

    name: str
    title: str
    text: str
    code: str


class Run(NamedTuple):
    """What an example did: what it printed, and for each call of ``show`` its pictures by caption."""

    printed: str
    shown: list[dict[str, np.ndarray]]


def examples() -> list[str]:
    """Return the names of all examples, in the order of their files."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in SUPPORT)


def read(name: str) -> Example:
    """Take an example's file apart into title, text and code."""
    source = (HERE / f"{name}.py").read_text()
    body = ast.parse(source).body
    title, _, text = ast.literal_eval(body[0].value).partition("\n")
    code = "".join(source.splitlines(keepends=True)[body[0].end_lineno :])
    return Example(name, title.strip(), text.strip(), code.strip())


def run(name: str) -> Run:
    """Run an example in an empty folder."""
    shown: list[dict[str, np.ndarray]] = []
    printed = io.StringIO()
    levels = logging.root.manager.disable
    show.listener = shown.append
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(printed):
            logging.disable(logging.INFO)
            with patch.dict(stage._registered):  # what an example registers ends with it
                runpy.run_path(str(HERE / f"{name}.py"), run_name="__main__")
    finally:
        show.listener = None
        logging.disable(levels)
    return Run(printed.getvalue().rstrip(), shown)


def write_page(example: Example, made: Run, folder: Path) -> None:
    """Write an example's page, and its pictures beside it."""
    parts = [f"# {example.title}", example.text, f"```python\n{example.code}\n```"]
    if made.printed:
        parts += ["It prints:", f"```text\n{made.printed}\n```"]
    for row, pictures in enumerate(made.shown):
        cells = []
        for column, (caption, array) in enumerate(pictures.items()):
            file = f"{example.name}-{row}-{column}.png"
            write_picture(folder / file, array, depth=8)
            cells.append(f"![{example.title}: {caption}]({file})")
        lines = ["| " + " | ".join(each) + " |" for each in (pictures, ["---"] * len(pictures), cells)]
        parts.append("\n".join(lines))
    parts.append(
        f"The file is `docs/gallery/{example.name}.py`; `show` puts pictures beside each other, and `scenes` draws "
        "those that are not photographs."
        if "scenes" in example.code
        else f"The file is `docs/gallery/{example.name}.py`; `show` puts pictures beside each other."
    )
    (folder / f"{example.name}.md").write_text("\n\n".join(parts) + "\n")


def write_index(titles: dict[str, str], folder: Path) -> None:
    """Write the page that lists all examples by group, each with its last picture."""
    parts = [
        "# Gallery",
        f"{len(titles)} examples, each one file that runs in seconds: `python docs/gallery/hair.py`.\n"
        "The pictures come with scikit-image or are drawn, and those on these pages were made by the code above "
        "them.",
    ]
    for group, names in GROUPS.items():
        parts.append(f"## {group}")
        for first in range(0, len(names), ACROSS):
            row = names[first : first + ACROSS]
            last = [sorted(folder.glob(f"{name}-*.png"))[-1].name for name in row]
            cells = [[f"[{titles[name]}]({name}.md)" for name in row], ["---"] * len(row)]
            cells.append([f"[![{titles[name]}]({shown})]({name}.md)" for name, shown in zip(row, last, strict=True)])
            parts.append("\n".join("| " + " | ".join(each) + " |" for each in cells))
    parts.append("```{toctree}\n:hidden:\n" + "\n".join(name for names in GROUPS.values() for name in names) + "\n```")
    (folder / "index.md").write_text("\n\n".join(parts) + "\n")


def build(folder: Path) -> None:
    """Run all examples and write their pages to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    titles = {}
    for name in examples():
        example = read(name)
        write_page(example, run(name), folder)
        titles[name] = example.title
    write_index(titles, folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
