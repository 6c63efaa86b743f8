"""docs/tutorials/training.md: its commands, one after the other on drawn pictures; its table is complete."""

from __future__ import annotations

import re
import shlex

import cv2
import numpy as np
import pytest
from conftest import ROOT, disk_scene

torch = pytest.importorskip("torch", reason="training needs bgkit[train]")
pytest.importorskip("onnx", reason="export needs bgkit[train]")
pytest.importorskip("matplotlib", reason="curves need bgkit[train]")

from train_pictures import draw_folder  # noqa: E402

from bgkit.cli import app  # noqa: E402
from bgkit.params import as_text, read_params  # noqa: E402
from bgkit.train.recipe import SECTIONS, Course  # noqa: E402
from bgkit.train.recipefile import read_recipe, shipped_recipes  # noqa: E402

torch.set_num_threads(1)  # networks this small wait for threads longer than they compute

PAGE = ROOT / "docs" / "tutorials" / "training.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def table() -> str:
    """The rows of the page's table, from the recipe's own fields."""
    rows = []
    for section, kind in (("", Course), *SECTIONS.items()):
        for param in read_params(kind).values():
            name = f"{section}.{param.name}".lstrip(".")
            rows.append(
                f"| `{name}` | {as_text(param.default) or 'none'} | {param.expected} | {param.doc.replace('``', '`')} |"
            )
    return "\n".join(rows) + "\n"


def test_commands_work(tmp_path, monkeypatch):
    """Every bash block, in order, in a folder with pictures, photo.jpg and mine.yaml; two epochs of small squares."""
    draw_folder(tmp_path / "pictures")
    image, _ = disk_scene()
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.rint(image[..., ::-1] * 255).astype(np.uint8))
    (tmp_path / "mine.yaml").write_text(blocks("yaml")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BGKIT_HOME", str(tmp_path / "home"))
    commands = [line for block in blocks("bash") for line in block.splitlines()]
    assert {line.split()[1] for line in commands} == {"train", "export", "remove", "models"}
    for line in commands:
        given = shlex.split(line)[1:]
        if given[0] == "train":  # the page's forty epochs would take a stranger's hour
            given += ["--set", "epochs=2", "--set", "sizes=32", "--set", "batch=4", "--set", "threads=1"]
        assert app.main(given, standalone_mode=False) == 0, line
    cut = cv2.imread(str(tmp_path / "photo-cutout.png"), cv2.IMREAD_UNCHANGED)
    assert cut.shape == (*image.shape[:2], 4)
    promised = re.findall(r"`([\w/-]+\.(?:yaml|json|jsonl|png|pt))`", PAGE.read_text().split("## 4.")[0])
    assert len(promised) == 9
    for name in promised:
        assert (tmp_path / "runs" / "mine" / name.replace("NNN", "002")).is_file(), name


def test_table_is_complete():
    """Each key with its default, range and text, as the recipe's classes have them."""
    assert table() in PAGE.read_text()


def test_recipes_are_named():
    """Every shipped recipe is on the page, and the recipe shown is right."""
    text = PAGE.read_text()
    assert not [name for name in shipped_recipes() if f"`{name}`" not in text]
    assert read_recipe(blocks("yaml")[0]).optimizer.kind == "muon"
