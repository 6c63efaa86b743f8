"""The folder that the page on plug-ins tells people to copy builds, installs, and passes its own tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from conftest import ROOT


def test_the_template_builds_installs_and_passes(tmp_path):
    """A copy of the folder installs without a network; then its tests pass, and the command line knows the stage."""
    copy = tmp_path / "plugin"
    shutil.copytree(ROOT / "plugin-template", copy)
    install = ["pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation", "--target", tmp_path / "site"]
    _run(*install, copy, cwd=tmp_path)
    _run("pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=copy, site=tmp_path / "site")
    shown = _run("bgkit", "stages", "saturated", cwd=tmp_path, site=tmp_path / "site")
    assert "Larger keeps less" in shown


def _run(*command, cwd, site=None):
    """Run a module of this Python, with bgkit and the installed package on its path; return what it printed."""
    places = [str(ROOT), *([str(site)] if site else [])]
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True, text=True, cwd=cwd, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
