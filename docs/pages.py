"""Gather the site's pages: those written by hand, and those made from the code.

Usage: python docs/pages.py FOLDER
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from made.commands import write_commands
from made.fields import write_fields
from made.interfaces import write_interfaces
from made.pipelines import write_pipelines
from made.stages import write_stages

from benchmarks.pages import BLOCK, Seal, seals

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# What writes the pictures of pages that are written by hand, into the folder that stands behind it.
PICTURES = (
    ("docs/demo.py", "--small"),
    ("docs/strokes.py",),
    ("benchmarks/model_card.py", "--pictures"),
    ("-m", "benchmarks.study.pictures"),
    ("docs/terminal.py", "watch"),
)
OUTSIDE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
DEPLOY = "deploy"


def write_pages(folder: Path) -> None:
    """Write every page of the site into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__", "made", "_static", "browser"))
    shutil.copytree(ROOT / DEPLOY, folder / DEPLOY)
    # The gallery takes as long as the rest: on a core of its own.
    gallery = subprocess.Popen([sys.executable, HERE / "gallery_pages.py", folder / "gallery"])
    try:
        write_pictures(folder / "images")
        for name, page in OUTSIDE.items():
            text = (ROOT / name).read_text("utf-8")
            (folder / page).write_text(re.sub(r"\]\(docs/", "](", text), "utf-8")
        reference = folder / "reference"
        write_stages(reference / "stages")
        write_pipelines(reference / "pipelines")
        write_commands(reference / "commands")
        write_fields(reference)
        write_interfaces(reference)
        if gallery.wait():
            sys.exit("docs/gallery_pages.py: an example failed")
    finally:
        gallery.kill()  # after a failure it would go on writing into the next build
    for key, seal in seals().items():
        name, _, block = key.partition("#")
        page = folder / Path(name).relative_to("docs") if name.startswith("docs/") else None
        if page:
            page.write_text(say_when(page.read_text("utf-8"), block, seal), "utf-8")
    for page in folder.rglob("*.md"):
        page.write_text(
            _lead_inside(page.read_text("utf-8"), "../" * len(page.relative_to(folder).parent.parts)), "utf-8"
        )


def write_pictures(folder: Path) -> None:
    """Write every picture of the pages that are written by hand."""
    for command in PICTURES:
        args = [*command[:1], folder, *command[1:]] if "--small" in command else [*command, folder]
        subprocess.run([sys.executable, *args], cwd=ROOT, check=True)


def say_when(text: str, name: str, seal: Seal) -> str:
    """Return a page with the day, the commit and the command of a measured block below it."""
    since = f"{seal['since']}, to " if "since" in seal else ""
    line = f'<p class="measured">Measured {since}{seal["measured"]}, by <code>{seal["by"]}</code></p>'
    return BLOCK.sub(lambda match: f"{match[0]}\n\n{line}\n" if match[2] == name else match[0], text)


def _lead_inside(text: str, up: str) -> str:
    """Return a page whose links to files outside of ``docs`` lead to the site's copies of them."""
    text = re.sub(rf"\]\({up}\.\./({DEPLOY}/[^)]*)\)", rf"]({up}\1)", text)
    for name, page in OUTSIDE.items():
        text = text.replace(f"]({up}../{name}", f"]({up}{page}")
    return text


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
