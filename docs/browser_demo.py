"""Put what the live demo of docs/how-to/in-the-browser.md needs into the built site.

Usage: python docs/browser_demo.py FOLDER
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from bgkit.models.store import WEIGHTS, show
from bgkit.serve.app import PAGE
from bgkit.serve.native import in_browser

HERE = Path(__file__).resolve().parent
MODULES = ("local.js", "network.js", "network-worker.js")


def write_demo(folder: Path) -> None:
    """Write the demo's files below ``folder``; without ONNX Runtime for browsers only the script that says so."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "browser" / "demo.js", folder)
    card = show("coarse")
    browser = in_browser(card)
    if browser is None:
        return
    for name in MODULES:
        shutil.copy(PAGE / name, folder)
    shutil.copytree(PAGE / "ort", folder / "ort", dirs_exist_ok=True)
    shutil.copy(WEIGHTS / card.file.name, folder)
    (folder / "network.json").write_text(json.dumps({"name": card.name, "browser": browser}), "utf-8")


if __name__ == "__main__":
    write_demo(Path(sys.argv[1]) / "browser")
