"""What CONTRIBUTING shows works as pasted: the recipe for a stage passes the lint, the contract, and as a plug-in."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

RECIPE = re.findall(r"^```python\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)[0]


def test_the_recipe_passes_its_own_lint():
    """ruff, with the settings of this repository, has nothing to say of it, as a file of bgkit/stages."""
    pytest.importorskip("ruff")
    for command in (["check", "-q"], ["format", "-q", "--check"]):
        name = str(ROOT / "bgkit" / "stages" / "brightness.py")
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", name, "-"],
            input=RECIPE, capture_output=True, text=True, cwd=ROOT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_recipe_as_a_package_of_its_own(tmp_path):
    """Installed beside bgkit, the stage is found by its name and held to the contract; the suite passes with it."""
    (tmp_path / "my_package.py").write_text(RECIPE)
    info = tmp_path / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bgkit.stages]\nbright = my_package:bright\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    code = "from bgkit import stages, testing; testing.check_stage('bright'); print(stages.bright.stage.gives)"
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert found.stdout == "mask\n", found.stderr
    suite = ["tests/test_stages.py", "tests/test_house.py", "tests/test_pipeline.py", "-k", "bright or table or schema"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *suite]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout
