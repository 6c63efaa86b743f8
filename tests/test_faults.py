"""Faults: kills at any moment, hostile files, folders that cannot be written, disks that are full."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import cv2
import hostile
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT
from minefield import draw

from bgkit.cli import app

QUICK = "bgkit: 1\nstages: [luv_threshold, composite: {background: none}]\n"
PICTURES, ROUNDS = 200, 50


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Each test works in an empty folder with a pipeline that takes a few milliseconds."""
    monkeypatch.chdir(tmp_path)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    Path("quick.yaml").write_text(QUICK)


def remove(*args: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["remove", "-p", "quick.yaml", *args])
    assert result.exit_code == status, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


def files(folder: str) -> dict[str, bytes]:
    """All files below a folder but the journal and its lock, hidden ones included."""
    found = (
        path for path in Path(folder).rglob("*") if path.is_file() and path.name not in (".bgkit.jsonl", ".bgkit.lock")
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def draw_many(count: int) -> None:
    rng = np.random.default_rng(3)
    for number in range(count):
        picture = np.full((120, 160, 3), 245, np.uint8)
        row, col = rng.integers(10, 60, 2)
        picture[row : row + 40, col : col + 60] = rng.integers(0, 150, 3)
        path = Path(f"in/{number % 7}/{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture)


def test_killed_fifty_times():
    """After kill -9 at 50 random moments over 200 pictures and a last run, all is as if nothing had happened."""
    draw_many(PICTURES)
    remove("in", "-o", "untroubled", "--sidecar", "--workers", "1")
    for workers, rounds in (("1", ROUNDS - 5), ("2", 5)):  # two need a second to start, which no fork saves
        share = ["remove", "in", "-o", "out", "-p", "quick.yaml", "--sidecar", "--workers", workers]
        script = [sys.executable, str(ROOT / "tests" / "killing.py"), str(rounds), "8", str(PICTURES), *share]
        subprocess.run(script, check=True, timeout=1200)
    before = len([name for name in files("out") if name.endswith(".png")])
    assert 0 < before < PICTURES, "the kills came before or after the work, not during it"
    remove("in", "-o", "out", "--sidecar", "--workers", "2")
    expected, found = files("untroubled"), files("out")
    assert found.keys() == expected.keys()
    pictures = [name for name in expected if name.endswith(".png")]
    assert len(pictures) == PICTURES and all(found[name] == expected[name] for name in pictures)
    digests = {name: json.loads(found[f"{name}.json"])["output_sha256"] for name in pictures}
    assert digests == {name: json.loads(expected[f"{name}.json"])["output_sha256"] for name in pictures}
    assert "200 skipped" in remove("in", "-o", "out")


def test_hostile_files_among_good_ones():
    """Each has the fate it must have and is named with a reason; every good picture is done; nothing hangs."""
    fates = hostile.make(Path("in/bad"))
    good = [draw(Path(f"in/good/{number}.png")) for number in range(9 * len(fates) // 4)]
    message = remove("in", "-o", "out", "--report", "r.jsonl", "--workers", "2", status=1)
    records = {json.loads(line)["input"]: json.loads(line) for line in Path("r.jsonl").read_text().splitlines()}
    got = {name: records.get(f"in/bad/{name}", {"status": hostile.LEFT_OUT})["status"] for name in fates}
    assert got == fates
    assert all(records[str(path)]["status"] == "done" for path in good)
    failed = [name for name, record in records.items() if record["status"] == "failed"]
    assert all(records[name]["error"] for name in failed)
    summary = message[message.rindex(" failed, in ") :]
    assert summary.count("  failed: in/bad/") == len(failed)
    pictures = [Path("out", name) for name in files("out")]
    assert len(pictures) == Counter(record["status"] for record in records.values())["done"]
    assert max(record["memory"] or 0 for record in records.values()) < 1.5e9


def mounted(place: Path, *options: str) -> None:
    """Mount a small file system in memory, or skip."""
    place.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("no mount here")
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"may not mount: {done.stderr.strip()}")


@pytest.fixture
def small():
    """A file system of 256 KB."""
    mounted(Path("small"), "-o", "size=256k")
    yield Path("small")
    subprocess.run(["umount", "-l", "small"], check=True)


def noise(count: int) -> None:
    rng = np.random.default_rng(4)
    Path("in").mkdir()
    for number in range(count):
        cv2.imwrite(f"in/{number}.png", rng.integers(0, 255, (100, 200, 3), np.uint8))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk(small, workers):
    """What fits is done and whole, what does not is named; with room again the same command goes on."""
    noise(10)
    message = remove("in", "-o", "small/out", "--workers", workers, status=1)
    assert "no space left on device" in message.lower()
    standing = files("small/out")
    assert 0 < len(standing) < 10 and not [name for name in standing if name.startswith(".")]
    assert all(cv2.imread(f"small/out/{name}", -1).shape == (100, 200, 4) for name in standing)
    subprocess.run(["mount", "-o", "remount,size=4m", "small"], check=True)
    assert f"{10 - len(standing)} done, {len(standing)} skipped" in remove("in", "-o", "small/out")


def test_a_full_disk_under_the_journal_alone(small):
    """Results that no journal knows would be kept when their pictures change: said, with exit status 1."""
    draw(Path("in/a.png"))
    Path("out").mkdir()
    for place in ("small/journal", "out/.bgkit.jsonl"):
        Path(place).touch()
    with Path("small/fill").open("wb", buffering=0) as fill, suppress(OSError):
        while fill.write(bytes(1024)):
            pass
    subprocess.run(["mount", "--bind", "small/journal", "out/.bgkit.jsonl"], check=True)
    try:
        message = remove("in", "-o", "out", status=1)
    finally:
        subprocess.run(["umount", "out/.bgkit.jsonl"], check=True)
    assert "out/.bgkit.jsonl: cannot be written any further: No space left on device" in message
    assert Path("out/a.png").exists()


def test_a_read_only_output(small):
    """Told before the first picture."""
    draw(Path("in/a.png"))
    (small / "out").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", "small"], check=True)
    message = remove("in", "-o", "small/out", status=2)
    assert message.startswith("error: small/out: cannot be written: ") and message.count("\n") == 1


def test_files_that_may_not_grow():
    """A limit on the size of files (ulimit -f) is a picture's failure, and leaves nothing half-written."""
    noise(2)
    draw(Path("in/small.png"))
    limit = (20_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    running = subprocess.run(
        [sys.executable, "-m", "bgkit", "remove", "in", "-o", "out", "-p", "quick.yaml"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )
    assert running.returncode == 1 and "1 done, 2 failed" in running.stderr, running.stderr
    assert "in/0.png: " in running.stderr and list(files("out")) == ["small.png"]


# The watched folder


def test_a_watch_is_killed_while_pictures_arrive():
    """Slow copies, renames into place, and kill -9 of the watch: in the end each picture is done, once, whole."""
    Path("in").mkdir()
    moments, names = random.Random(2), [f"{number}.png" for number in range(24)]
    data = {name: draw(Path("drawn") / name, rows=60 + index).read_bytes() for index, name in enumerate(names)}
    command = ["watch", "in", "-o", "out", "-p", "quick.yaml", "--settle", "0.3", "--every", "0.05"]

    def start(*more: str) -> subprocess.Popen:
        args = [sys.executable, "-m", "bgkit", *command, *more]
        return subprocess.Popen(args, stderr=subprocess.PIPE, text=True, start_new_session=True)

    running, message = start(), []
    for number, name in enumerate(names):
        if number % 2:
            with Path("in", name).open("wb") as file:  # a slow copy
                for part in range(0, len(data[name]), 1 + len(data[name]) // 4):
                    file.write(data[name][part : part + 1 + len(data[name]) // 4])
                    file.flush()
                    time.sleep(0.02)
        else:
            with tempfile.NamedTemporaryFile(dir="in", prefix=".upload", delete=False) as file:
                file.write(data[name])
            Path(file.name).rename(Path("in", name))
        if number % 8 == 7:
            limit, count = time.monotonic() + 60, moments.randrange(1, 8)
            while len(list(Path("out").glob("*.png"))) < count + number - 7 and time.monotonic() < limit:
                time.sleep(0.005)
            time.sleep(moments.random() * 0.05)
            os.killpg(running.pid, signal.SIGKILL)
            message.append(running.communicate()[1])
            running = start()
    os.killpg(running.pid, signal.SIGKILL)
    message.append(running.communicate()[1])
    message.append(start("--once").communicate(timeout=120)[1])
    results = files("out")
    assert sorted(results) == sorted(f"{name}{end}" for name in names for end in ("", ".json"))
    shapes = {name: cv2.imread(f"out/{name}", -1).shape for name in names}
    assert shapes == {name: (60 + index, 16, 4) for index, name in enumerate(names)}
    lines = Path("out/.bgkit.jsonl").read_text().splitlines()
    done = Counter(json.loads(line)["output"] for line in lines if line)
    assert done == dict.fromkeys(names, 1), message
