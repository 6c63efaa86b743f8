"""What `deploy/` holds, as far as a machine without containers can check it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib

import pytest
from conftest import ROOT

pytest.importorskip("fastapi", reason="the extra serve is not installed")

import httpx
from serving import Server

CONTAINER = (ROOT / "deploy" / "Containerfile").read_text()
UNIT = (ROOT / "deploy" / "bgkit.service").read_text()


def test_container_starts(tmp_path, monkeypatch):
    """Entry point and command start a server that asks for the key, with no home and nothing to write to but /tmp."""
    words = [json.loads(re.search(rf"^{name} (.*)$", CONTAINER, re.MULTILINE)[1]) for name in ("ENTRYPOINT", "CMD")]
    command, (option, place) = words
    assert (command[:2], option, place) == (["bgkit", "serve"], "--key", "/keys.txt")
    keys = tmp_path / "keys.txt"
    keys.write_text("a-key-of-more-than-sixteen\n")
    keys.chmod(0o600)
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.delenv("BGKIT_HOME", raising=False)
    with Server(*command[2:], option, str(keys)) as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        key = {"X-Api-Key": keys.read_text().strip()}
        statuses = [httpx.get(f"{url}v1/schema", headers=each, timeout=300).status_code for each in ({}, key)]
        assert statuses == [401, 200]


def test_container_installs_what_there_is():
    """The extra that the container installs is declared, and its stages are named where they are used."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r'bgkit-\*\.whl\)\[(\w+)\]"', CONTAINER)) == {"serve"} <= set(extras)
    named = set(re.findall(r"^FROM \S+ AS (\w+)$", CONTAINER, re.MULTILINE))
    assert set(re.findall(r"from=(\w+)", CONTAINER)) == named


def test_unit_is_one_of_systemd(tmp_path):
    """systemd reads every line of the unit."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    unit = tmp_path / "bgkit.service"
    unit.write_text(UNIT.replace("/opt/bgkit/bin/bgkit", shutil.which("true")))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "bgkit.service" in line]) == (0, [])


def test_unit_names_options_that_there_are():
    """Each option of the unit's command is one of bgkit serve's."""
    from bgkit.cli.serve import command

    known = {option for each in command.params for option in each.opts}
    given = set(re.findall(r"--[\w-]+", re.search(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)[1]))
    assert given == {"--pipelines", "--key"} <= known
