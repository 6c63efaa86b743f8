"""The watched folder: every picture once, whatever happens on the way. Nothing here sleeps."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from conftest import disk_scene

from bgkit.batch import watching
from bgkit.batch.jobs import Work
from bgkit.batch.watching import Watch
from bgkit.errors import PlanError
from bgkit.pipelinefile import read_pipeline

PIPELINE = "bgkit: 1\nstages: [luv_threshold, composite: {background: white}]\nchecks: {touching: 0}"
PICTURE = cv2.imencode(".png", np.rint(disk_scene(24, 32)[0][..., ::-1] * 255).astype(np.uint8))[1].tobytes()


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """A clock; and the test works in an empty folder with an empty folder ``in``."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    return Clock()


def watch(clock: Clock, **options) -> Watch:
    return Watch(Path("in"), Path("out"), Work(read_pipeline(PIPELINE)), clock=clock, **options)


def put(name: str, data: bytes = PICTURE) -> Path:
    path = Path("in", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path.absolute()


def work_off(watching: Watch, clock: Clock) -> dict[str, str]:
    """Look, let the files settle, look again, do what is ready: input name to output name, or to what went wrong."""
    watching.look()
    clock.now += 10
    message = {}
    for path in watching.look():
        outcome = watching.do(path)
        if outcome is not None:
            message[path.name] = outcome.error or str(outcome.job.output.relative_to(watching.out))
    return message


def results() -> set[str]:
    """What stands in the output folder, but for sidecars and the journal."""
    found = (path for path in Path("out").rglob("*") if path.is_file())
    return {str(path.relative_to("out")) for path in found if path.suffix == ".png"}


def test_each_picture_once(clock):
    """What was there and what arrives is done once, in its place in the tree; a change makes a picture new."""
    put("a.png")
    with watch(clock) as hot:
        assert work_off(hot, clock) == {"a.png": "a.png"}
        put("x/b.png")
        assert work_off(hot, clock) == {"b.png": "x/b.png"}
        assert work_off(hot, clock) == {}
        os.utime(put("a.png"), (1, 1))
        assert work_off(hot, clock) == {"a.png": "a.png"}


def test_a_restart_does_nothing_twice(clock):
    """Also not where the result was taken away since."""
    put("a.png")
    put("b.png")
    with watch(clock) as hot:
        work_off(hot, clock)
    Path("out/a.png").unlink()
    with watch(clock) as hot:
        assert work_off(hot, clock) == {}


def test_a_result_without_its_line_is_made_again(clock):
    """Power that failed before the journal was written, or in the middle of the file, costs nothing."""
    put("a.png")
    put("b.png")
    with watch(clock) as hot:
        work_off(hot, clock)
    journal = Path("out/.bgkit.jsonl")
    journal.write_bytes(journal.read_bytes()[:-20])
    torn = json.loads(journal.read_bytes().splitlines()[0])["output"]
    Path("out", torn).write_bytes(b"")
    with watch(clock) as hot:
        assert set(work_off(hot, clock)) == {"a.png", "b.png"}
    assert results() == {"a.png", "b.png"}


def test_a_file_that_grows_is_waited_for(clock):
    """A slow copy is taken when it has stood still; an empty file is never taken."""
    put("a.png", PICTURE[:100])
    put("b.png", b"")
    with watch(clock, settle=3) as hot:
        for length in (100, 200, 300, len(PICTURE)):
            put("a.png", PICTURE[:length])
            assert hot.look() == []
            clock.now += 2
        assert hot.look() == []
        assert hot.waiting == 2
        clock.now += 2
        assert [path.name for path in hot.look()] == ["a.png"]


def test_a_copy_that_paused_is_done_when_it_is_whole(clock):
    """Half a picture fails, once; the whole one is new."""
    put("a.png", PICTURE[: len(PICTURE) // 2])
    with watch(clock) as hot:
        assert "a.png" in work_off(hot, clock)["a.png"]
        assert work_off(hot, clock) == {}
        put("a.png")
        assert work_off(hot, clock) == {"a.png": "a.png"}


def test_a_rename_over_the_name_is_a_new_picture(clock):
    """An atomic rename, with a time of change of long ago."""
    put("a.png")
    with watch(clock) as hot:
        work_off(hot, clock)
        old = put(".tmp")
        os.utime(old, (5, 5))
        old.rename("in/a.png")
        assert work_off(hot, clock) == {"a.png": "a.png"}


@pytest.mark.parametrize("what", ["deleted", "renamed"])
def test_a_picture_that_goes_before_its_turn_is_no_failure(clock, what):
    """It is forgotten; under its new name it is done."""
    path = put("a.png")
    with watch(clock) as hot:
        hot.look()
        clock.now += 10
        assert hot.look() == [path]
        path.unlink() if what == "deleted" else path.rename("in/b.png")
        assert hot.do(path) is None
        assert not hot.trouble
        assert work_off(hot, clock) == ({} if what == "deleted" else {"b.png": "b.png"})


def test_a_locked_picture_is_waited_for(clock):
    """While another process holds a lock the picture is told as locked; then it is done."""
    path = put("a.png")
    with watch(clock) as hot:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert work_off(hot, clock) == {}
            assert path in hot.locked
        assert work_off(hot, clock) == {"a.png": "a.png"}
        assert not hot.locked


def test_equal_names_keep_both_results(clock):
    """The second keeps its full name, also after a restart, and whichever changes."""
    with watch(clock) as hot:
        put("a.png")
        work_off(hot, clock)
        put("a.bmp")
        assert work_off(hot, clock) == {"a.bmp": "a.bmp.png"}
    with watch(clock) as hot:
        assert work_off(hot, clock) == {}
        os.utime(put("a.png"), (1, 1))
        assert work_off(hot, clock) == {"a.png": "a.png"}
    assert results() == {"a.png", "a.bmp.png"}


def test_an_unreadable_picture_does_not_stop_the_others(clock):
    """It fails once and is named; the rest is done."""
    put("a.png", b"no picture")
    put("b.png")
    with watch(clock) as hot:
        message = work_off(hot, clock)
        assert message["b.png"] == "b.png"
        assert "a.png" in message["a.png"]
        assert work_off(hot, clock) == {}


def test_a_full_disk_is_waited_for(clock, monkeypatch):
    """Nothing counts as failed or done until there is room."""
    put("a.png")
    with watch(clock) as hot:
        monkeypatch.setattr(watching, "ROOM", 1 << 80)
        assert work_off(hot, clock) == {}
        assert "disk full" in hot.trouble
        monkeypatch.setattr(watching, "ROOM", 0)
        assert work_off(hot, clock) == {"a.png": "a.png"}


def test_a_full_disk_is_said_once(clock, monkeypatch):
    """The trouble stays the same from look to look, also while other programs take or free some of the room."""
    put("a.png")
    room = iter(range(1, 20))
    monkeypatch.setattr(
        watching.os, "statvfs", lambda _: SimpleNamespace(f_bavail=next(room), f_frsize=1 << 20), raising=False
    )
    with watch(clock) as hot:
        hot.look()
        said = []
        for _ in range(5):
            clock.now += 10
            assert hot.look() == []
            said.append(hot.trouble)
    assert len(set(said)) == 1 and "disk full" in said[0]


def test_a_disk_that_fills_up_while_writing_is_no_failure_of_the_picture(clock):
    """The error of the system is told from one of the picture."""
    put("a.png")
    real = watching.run_job

    def full(job, work, on_step):
        return replace(real(job, work, on_step), status="failed", error=f"out: {os.strerror(errno.ENOSPC)}")

    with watch(clock) as hot:
        hot.run = full
        assert work_off(hot, clock) == {}
        assert "No space" in hot.trouble
        hot.run = real
        clock.now += watching.PAUSE
        assert work_off(hot, clock) == {"a.png": "a.png"}


def test_a_nearly_full_disk_is_not_tried_at_every_look(clock):
    """After a try in vain the watch waits, longer each time, and its trouble stays the same."""
    put("a.png")
    tries, said = [], set()

    def full(job, work, on_step):
        tries.append(clock.now)
        return replace(watching.run_job(job, work, on_step), status="failed", error=os.strerror(errno.ENOSPC))

    with watch(clock) as hot:
        hot.run = full
        work_off(hot, clock)
        for _ in range(200):
            clock.now += 1
            for path in hot.look():
                hot.do(path)
            said.add(hot.trouble)
    assert len(tries) == 5 and said == {"No space left on device"}


def test_an_output_folder_that_cannot_be_made(clock):
    """A file in its way is told in one line."""
    Path("out").write_text("")
    with pytest.raises(PlanError, match="out: cannot be made: File exists"), watch(clock):
        pass


@pytest.mark.parametrize("which", ["in", "out"])
def test_a_folder_that_is_away_is_waited_for(clock, which):
    """A share that goes and comes back: nothing is lost, done twice, or written to the empty mount point."""
    put("a.png")
    with watch(clock) as hot:
        work_off(hot, clock)
        put("b.png")
        Path(which).rename("elsewhere")
        if which == "out":
            Path("out").mkdir()  # the mount point
        assert work_off(hot, clock) == {}
        assert "is away" in hot.trouble
        if which == "out":
            assert list(Path("out").iterdir()) == []
            Path("out").rmdir()
        Path("elsewhere").rename(which)
        assert work_off(hot, clock) == {"b.png": "b.png"}
        assert not hot.trouble


def test_a_share_mounted_elsewhere_is_the_same_share(clock):
    """Pictures are known again by name, size and time when their folder has another place."""
    put("a.png")
    with watch(clock) as hot:
        work_off(hot, clock)
    shutil.move("in", "mnt")
    with Watch(Path("mnt"), Path("out"), Work(read_pipeline(PIPELINE)), clock=clock) as hot:
        assert work_off(hot, clock) == {}


def test_two_watches_do_not_meet(clock):
    """The output folder belongs to one of them."""
    with watch(clock), pytest.raises(PlanError, match="another watch or batch"), watch(clock):
        pass


def test_results_are_no_pictures_that_arrive(clock):
    """An output folder inside of the input is passed over; around it, it is refused."""
    put("a.png")
    work = Work(read_pipeline(PIPELINE))
    with Watch(Path("in"), Path("in/out"), work, clock=clock) as hot:
        work_off(hot, clock)
        assert work_off(hot, clock) == {}
    with pytest.raises(PlanError, match="among arriving"), Watch(Path("in"), Path(), work):
        pass


def test_flagged_results_are_copied_for_review_until_they_pass(clock):
    """The result stays in its place; the copy goes when the picture is done again without a flag."""
    full = np.zeros((24, 32, 3), np.uint8)
    full[:, :20] = 255
    put("x/a.png", cv2.imencode(".png", full)[1].tobytes())
    with watch(clock) as hot:
        work_off(hot, clock)
        assert results() == {"x/a.png", "review/x/a.png"}
        put("x/a.png")
        work_off(hot, clock)
        assert results() == {"x/a.png"}


def test_the_sidecar_says_how_to_make_it_again(clock):
    """Hashes of both files, the pipeline with every value, versions, seconds and findings."""
    path = put("a.png")
    with watch(clock) as hot:
        work_off(hot, clock)
    record = json.loads(Path("out/a.png.json").read_text())
    assert record["input_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["output_sha256"] == hashlib.sha256(Path("out/a.png").read_bytes()).hexdigest()
    assert read_pipeline(record["pipeline_yaml"]).digest() == record["digest"]
    assert record["facts"]["findings"]["touching"]["value"] == 0
    assert set(record["seconds"]) == {"read", "luv_threshold", "composite", "write"}
    assert {"python", "numpy"} <= set(record["versions"])
