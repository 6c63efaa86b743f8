"""Batches: which pictures, to where, and that one picture's trouble stays its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from minefield import BREAKS, DIES, PIPELINE, REFUSES, STOPS, WARNS, draw, install

from bgkit.batch import memory, processes
from bgkit.batch.discovery import find_pictures
from bgkit.batch.engines import local
from bgkit.batch.engines.local import Local, default_workers
from bgkit.batch.events import Events
from bgkit.batch.jobs import Job, Outcome, Work, shown
from bgkit.batch.journal import NAME, Journal
from bgkit.batch.memory import Room
from bgkit.batch.planning import part, plan, prepare
from bgkit.batch.report import Report
from bgkit.errors import PipelineError, PlanError
from bgkit.pipelinefile import read_pipeline


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Each test works in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The work of a pipeline with the stage ``minefield``."""
    folder = tmp_path_factory.mktemp("site")
    install(folder)
    sys.path.insert(0, str(folder))
    yield Work(read_pipeline(PIPELINE, name="minefield"))
    sys.path.remove(str(folder))


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")


def listing(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def outputs(*inputs: str, out: str | None = None, **options) -> dict[str, str]:
    """Input to output as planned, with short names."""
    jobs = plan(inputs, out, **options).jobs
    return {os.path.relpath(job.name): os.path.relpath(job.output) for job in jobs}


# Which pictures


def test_tree_is_kept():
    """Below the output folder stands the tree of the input folder."""
    touch("in/a.jpg", "in/x/y/b.tif")
    assert outputs("in", out="out") == {"in/a.jpg": "out/a.png", "in/x/y/b.tif": "out/x/y/b.png"}


def test_walk_leaves_out_and_says_so():
    """Hidden files, other files and linked folders are not taken; what is not hidden is told."""
    touch("in/a.jpg", "in/.b.jpg", "in/.hidden/c.jpg", "in/notes.txt", "in/README")
    Path("in/loop").symlink_to(Path("in").resolve())
    found, notes = find_pictures(["in"])
    assert [each.path for each in found] == [Path("in/a.jpg")]
    assert notes == [
        "in/loop: not followed, a folder that is a link",
        "in: left out what is no picture by its ending: 1 .txt, 1 no ending",
    ]


def test_a_link_that_leads_nowhere_is_taken_and_fails(work):
    """Dangling and circular links fail by their names; a pipe among the pictures is not waited for."""
    Path("in").mkdir()
    Path("in/a.png").symlink_to("gone.png")
    Path("in/b.png").symlink_to("b.png")
    os.mkfifo("in/c.png")
    outcomes = done(plan(["in"], "out").jobs, work)
    assert {name: outcome.status for name, outcome in outcomes.items()} == {"in/a.png": "failed", "in/b.png": "failed"}


def test_output_inside_input_is_no_input():
    """Results of an earlier run below the input folder are not taken for pictures."""
    touch("in/a.png", "in/out/a.png")
    assert outputs("in", out="in/out") == {"in/a.png": "in/out/a.png"}


def test_output_inside_a_globs_folder_is_no_input():
    """The same for a glob that reaches into the output folder."""
    touch("in/a.png", "in/out/a.png")
    assert outputs("in/**/*.png", out="in/out") == {"in/a.png": "in/out/a.png"}


def test_output_folder_must_not_be_the_input_folder():
    """Results among originals would be taken for originals the next time."""
    touch("in/a.jpg")
    with pytest.raises(PlanError, match=r"^in: is the input folder too"):
        plan(["in"], "in")


def test_several_folders_keep_their_names():
    """Of several folders the common parent counts, so equal names below them do not meet."""
    touch("shoots/one/a.jpg", "shoots/two/a.jpg")
    found = outputs("shoots/one", "shoots/two", out="out")
    assert found == {"shoots/one/a.jpg": "out/one/a.png", "shoots/two/a.jpg": "out/two/a.png"}


def test_glob_keeps_the_tree_below_its_fixed_part():
    """What stands before the first wildcard is the root; other files and folders that match are left out."""
    touch("in/x/a.jpg", "in/y/a.jpg", "in/y/a.txt")
    assert outputs("in/*/*", out="out") == {"in/x/a.jpg": "out/x/a.png", "in/y/a.jpg": "out/y/a.png"}


def test_a_name_with_wildcards_that_exists_is_that_file():
    """``photo[1].jpg`` is a file, where there is one."""
    touch("photo[1].jpg", "photo1.jpg")
    assert outputs("photo[1].jpg") == {"photo[1].jpg": "photo[1]-cutout.png"}


def test_a_picture_met_twice_is_done_once():
    """A folder and a picture in it."""
    touch("in/a.jpg", "in/b.jpg")
    assert list(outputs("in", "in/b.jpg", out="out")) == ["in/a.jpg", "in/b.jpg"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.jpg", r"^nothing\.jpg: no such file or folder"),
        ("*.jpg", r"^\*\.jpg: no picture has such a name"),
        ("empty", r"^empty: no pictures in this folder \(looked for \.jpg, "),
    ],
)
def test_inputs_that_are_not_there(name, message):
    """Each is one clear error before anything is done."""
    Path("empty").mkdir()
    with pytest.raises(PlanError, match=message):
        plan([name], "out")


# To where


def test_beside_the_picture():
    """Without an output a result stands beside its picture, with the layer's suffix."""
    touch("x/photo.jpg")
    assert outputs("x/photo.jpg") == {"x/photo.jpg": "x/photo-cutout.png"}
    assert outputs("x/photo.jpg", suffix="-alpha", ending="tif") == {"x/photo.jpg": "x/photo-alpha.tif"}


def test_beside_the_folder(monkeypatch):
    """A folder's results stand in a folder beside it, also when it is the folder one is in."""
    touch("shots/x/a.jpg")
    assert outputs("shots") == {"shots/x/a.jpg": "shots-cutout/x/a.png"}
    monkeypatch.chdir("shots")
    assert outputs(".") == {"x/a.jpg": "../shots-cutout/x/a.png"}


def test_equal_names_keep_their_endings():
    """Pictures that want one name all keep their full old names, and that is told."""
    touch("in/a.jpg", "in/a.tif", "in/b.jpg")
    planned = plan(["in"], "out")
    assert [str(job.output) for job in planned.jobs] == ["out/a.jpg.png", "out/a.tif.png", "out/b.png"]
    assert planned.notes == ("2 pictures want the name out/a.png: each keeps its full old name",)


def test_equal_names_beside():
    """The same beside the pictures."""
    touch("a.jpg", "a.tif")
    assert outputs("a.jpg", "a.tif") == {"a.jpg": "a.jpg-cutout.png", "a.tif": "a.tif-cutout.png"}


def test_full_names_that_meet_another_picture():
    """A picture that is called like another one's full name gives way, too."""
    touch("in/a.jpg", "in/a.tif", "in/a.jpg.bmp")
    found = outputs("in", out="out")
    assert sorted(found.values()) == ["out/a.jpg.bmp.png", "out/a.jpg.png", "out/a.tif.png"]


def test_equal_full_names_get_their_folders():
    """Pictures of one name, given one by one, are told apart by the folders below their common parent."""
    touch("x/a.jpg", "y/z/a.jpg")
    found = outputs("x/a.jpg", "y/z/a.jpg", out="out")
    assert found == {"x/a.jpg": "out/x/a.jpg.png", "y/z/a.jpg": "out/y/z/a.jpg.png"}


def test_results_of_an_earlier_run_are_no_inputs():
    """``*.png`` without an output folder meets the results of the first run."""
    touch("a.png", "b.png")
    first = outputs("*.png")
    touch(*first.values())
    planned = plan(["*.png"])
    assert [job.name for job in planned.jobs] == ["a.png", "b.png"]
    assert planned.notes == ("left out 2 inputs that are results of the others",)


def test_one_picture_to_a_named_file():
    """An output with a picture's ending is that file, unless it is a folder."""
    touch("a.jpg")
    assert outputs("a.jpg", out="x/cut.webp") == {"a.jpg": "x/cut.webp"}
    Path("set.png").mkdir()
    assert outputs("a.jpg", out="set.png") == {"a.jpg": "set.png/a.png"}


@pytest.mark.parametrize(
    ("inputs", "out", "ending", "message"),
    [
        (["a.jpg", "b.jpg"], "cut.png", None, r"^cut\.png: names one picture, but there are 2 inputs"),
        (["a.jpg"], "cut.png", "webp", r"^cut\.png: its ending and the format webp contradict"),
        (["a.jpg"], "cut.gif", None, r"^cut\.gif: results are written as \.png"),
        (["a.jpg"], "a.jpg", None, r"^a\.jpg: is an input; choose another output"),
        (["a.jpg"], "link.jpg", None, r"^link\.jpg: is an input; choose another output"),
        (["*.png"], ".", None, r"^b\.png: is an input; choose another output"),
    ],
)
def test_outputs_that_cannot_be(inputs, out, ending, message):
    """Outputs that contradict themselves or would fall on an input are refused."""
    touch("a.jpg", "b.jpg", "b.png")
    Path("link.jpg").symlink_to("a.jpg")
    with pytest.raises(PlanError, match=message):
        plan(inputs, out, ending=ending)


def test_no_output_falls_on_a_layer_that_is_brought():
    """A plate is an input, too."""
    touch("a.jpg", "plate.png")
    with pytest.raises(PlanError, match=r"^plate\.png: is an input"):
        plan(["a.jpg"], "plate.png", brought={"plate": "plate.png"})


def test_existing_outputs():
    """They are skipped, done again, or the reason to do nothing."""
    touch("a.jpg", "b.jpg", "a-cutout.png")
    planned = plan(["a.jpg", "b.jpg"])
    assert [[job.name for job in jobs] for jobs in part(planned, "skip")[:2]] == [["b.jpg"], ["a.jpg"]]
    assert [[job.name for job in jobs] for jobs in part(planned, "overwrite")[:2]] == [["a.jpg", "b.jpg"], []]
    with pytest.raises(PlanError, match=r"^a-cutout\.png: exists"):
        part(planned, "fail")


def test_journal_tells_what_stands_rightly(work):
    """A result of a changed picture, or of another size than was written, is done again; other settings are told."""
    for name in "abc":
        draw(Path(f"in/{name}.png"))
    planned = plan(["in"], "out")
    prepare([Path("out")])
    with Journal(Path("out"), "digest", "result") as journal:
        for outcome in Local(1).run(planned.jobs, work):
            journal.add(outcome)
    draw(Path("in/a.png"), rows=20)
    Path("out/b.png").write_bytes(Path("out/b.png").read_bytes()[:50])
    todo, skipped, notes = part(planned, "skip", Journal(Path("out"), "digest", "result"))
    assert [job.name for job in todo] == ["in/a.png", "in/b.png"]
    assert notes == ["done again, because the picture was changed since or the output is damaged: 2"]
    todo, skipped, notes = part(planned, "skip", Journal(Path("out"), "another digest", "result"))
    assert [job.name for job in skipped] == ["in/c.png"]
    assert notes[1] == "kept, though made with another pipeline or other values: 1"


def test_journal_survives_torn_lines(work):
    """What a kill left of a line costs that line only, before and after it others are read."""
    draw(Path("a.png"))
    Path("out").mkdir()
    job = plan(["a.png"], "out").jobs[0]
    other = {"output": "b.png", "bytes": 1, "input": "b.png", "stamp": [1, 2], "digest": "", "layer": "result"}
    Path("out", NAME).write_text(json.dumps(other) + '\n{"output": "a.p')
    with Journal(Path("out"), "digest", "result") as journal:
        for outcome in Local(1).run([job], work):
            journal.add(outcome)
    again = Journal(Path("out"), "digest", "result")
    assert set(again.records) == {"a.png", "b.png"} and again.judge(job) == "good"
    job.output.unlink()
    assert again.judge(job) == "none"


def test_what_killed_runs_left_is_removed_by_one_alone():
    """Unfinished files go when a batch starts, unless another batch is at work there."""
    part_file = Path("out/x/.bgkit-0123456789ab.part")
    touch(str(part_file))
    with Journal(Path("out"), "", ""):
        assert part_file.exists()  # not a folder of this batch
        with Journal(Path("out"), "", "", [Path("out/x")]) as second:
            assert part_file.exists() and not second.has_lock
    with Journal(Path("out"), "", "", [Path("out/x")]) as third:
        assert not part_file.exists() and third.has_lock


def test_output_too_many_folders_deep():
    """A path that the system takes may still have more folders than Python follows."""
    with pytest.raises(PlanError, match=r"cannot be made: it is too many folders deep"):
        prepare([Path("a/" * 1900)])
    assert not Path("a").exists()


def test_folders_that_cannot_be_written(monkeypatch):
    """A file in the way, or no permission, is told before anything is made."""
    touch("file")
    with pytest.raises(PlanError, match=r"^file/out: cannot be made: file is a file"):
        prepare([Path("also"), Path("file/out")])
    assert not Path("also").exists()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PlanError, match=r"^out: cannot be written: no permission"):
        prepare([Path("out")])
    assert not Path("out").exists()


# What comes with them


def test_one_plate_for_all():
    """A file comes with every picture."""
    touch("in/a.jpg", "in/b.jpg", "plate.jpg")
    assert [job.brought for job in plan(["in"], "out", brought={"plate": "plate.jpg"}).jobs] == [
        {"plate": Path("plate.jpg")}
    ] * 2


def test_masks_by_name():
    """A folder is searched for the picture's place and name, then for its name alone."""
    touch("in/a.jpg", "in/x/a.jpg", "in/x/b.jpg", "masks/a.png", "masks/x/a.png", "masks/b.png")
    masks = [str(job.brought["mask"]) for job in plan(["in"], "out", brought={"mask": "masks"}).jobs]
    assert masks == ["masks/a.png", "masks/x/a.png", "masks/b.png"]


def test_masks_of_pictures_of_equal_names():
    """With full names the folder may hold full names, or one mask for both."""
    touch("in/a.jpg", "in/a.tif", "masks/a.jpg.png", "masks/a.png")
    masks = [str(job.brought["mask"]) for job in plan(["in"], "out", brought={"mask": "masks"}).jobs]
    assert masks == ["masks/a.jpg.png", "masks/a.png"]


def test_two_masks_for_one_picture_are_not_guessed_between():
    """A folder with two files of a picture's name is refused with both."""
    touch("in/a.jpg", "masks/a.png", "masks/a.jpg.png", "masks/a.tif")
    with pytest.raises(
        PlanError, match=r"^--mask masks: expected one file for in/a\.jpg, got masks/a\.png and masks/a"
    ):
        plan(["in"], "out", brought={"mask": "masks"})


def test_missing_masks_are_told_before_the_first_picture():
    """By number and by the first names."""
    touch("in/a.jpg", "in/b.jpg", "masks/a.png")
    with pytest.raises(PlanError, match=r"^--mask masks: nothing there for 1 of 2 inputs: in/b\.jpg$"):
        plan(["in"], "out", brought={"mask": "masks"})
    with pytest.raises(PlanError, match=r"^--mask no\.png: no such file"):
        plan(["in"], "out", brought={"mask": "no.png"})


# The work


def test_work_knows_its_layers(work):
    """A layer that the pipeline does not make is told before the first picture."""
    with pytest.raises(PipelineError, match=r"makes no layer 'trimap' \(it makes: alpha, mask, result\)"):
        Work(work.pipeline, "trimap").check()
    Work(work.pipeline, "alpha").check()


def test_jpg_needs_a_background(work):
    """A transparent result does not fit into a jpg; its alpha does."""
    with pytest.raises(PipelineError, match="jpg has no transparency"):
        work.check(ending="jpg")
    Work(work.pipeline, "alpha").check(ending="jpg")


def done(jobs, work, count=1, **options) -> dict[str, Outcome]:
    return {outcome.job.name: outcome for outcome in Local(count, **options).run(jobs, work)}


def test_a_job_is_timed_and_its_facts_are_kept(work):
    """The outcome tells seconds by step, facts by stage and the picture's size; the output is there."""
    draw(Path("a.png"))
    steps = []
    events = Events()
    events.step = steps.append
    (outcome,) = Local(1).run(plan(["a.png"]).jobs, work, events)
    assert outcome.status == "done"
    assert list(outcome.seconds) == steps == ["read", "minefield", "composite", "write"]
    assert outcome.size == (12, 16)
    assert outcome.facts["minefield"]["level"] == 0.5
    assert cv2.imread("a-cutout.png", cv2.IMREAD_UNCHANGED).shape == (12, 16, 4)


def test_one_layer_is_written(work):
    """``layer`` chooses what is written."""
    draw(Path("a.png"))
    done(plan(["a.png"], "alpha.png").jobs, Work(work.pipeline, "alpha"))
    alpha = cv2.imread("alpha.png", cv2.IMREAD_UNCHANGED)
    assert alpha.shape == (12, 16) and alpha[0, 0] == 5 and alpha[6, 8] == 135


def test_steps_are_saved(work):
    """Every layer is written as it is made, below the picture's name."""
    draw(Path("in/x/a.png"))
    done(plan(["in"], "out").jobs, Work(work.pipeline, steps_folder=Path("steps")))
    assert sorted(path.as_posix() for path in Path("steps").rglob("*.png")) == [
        "steps/x/a/01-minefield-mask.png",
        "steps/x/a/02-composite-result.png",
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_a_failure_stays_with_its_picture(work, count):
    """A damaged file, a refusal and a bug fail alone; the others are done, in this process and in workers."""
    for name in "abcd":
        draw(Path(f"in/{name}.png"))
    draw(Path("in/refused.png"), REFUSES)
    draw(Path("in/bug.png"), BREAKS)
    Path("in/cut.png").write_bytes(Path("in/a.png").read_bytes()[:60])
    Path("in/void.png").write_bytes(b"")
    outcomes = done(plan(["in"], "out").jobs, work, count)
    failed = {name for name, outcome in outcomes.items() if outcome.status == "failed"}
    assert failed == {"in/refused.png", "in/bug.png", "in/cut.png", "in/void.png"}
    assert outcomes["in/refused.png"].error == "minefield: does not like red"
    assert outcomes["in/bug.png"].error == "internal error: RuntimeError: a bug"
    assert "minefield.py" in outcomes["in/bug.png"].trace
    assert listing("out") == ["a.png", "b.png", "c.png", "d.png"]


def test_a_full_disk_fails_the_picture(work, monkeypatch):
    """An error of the system is the picture's failure, with its reason."""
    draw(Path("a.png"))

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bgkit.batch.running.write_picture", full)
    (outcome,) = Local(1).run(plan(["a.png"]).jobs, work)
    assert (outcome.status, outcome.error) == ("failed", "No space left on device")


def test_warnings_are_the_pictures(work):
    """What a stage warns of is kept with the picture and printed by no one else."""
    draw(Path("a.png"), WARNS)
    (outcome,) = Local(1).run(plan(["a.png"]).jobs, work)
    assert (outcome.status, outcome.warnings) == ("done", ("stopped early",))


def test_the_users_stop_goes_through(work):
    """Ctrl-C is no failure of a picture."""
    draw(Path("a.png"), STOPS)
    with pytest.raises(KeyboardInterrupt):
        list(Local(1).run(plan(["a.png"]).jobs, work))


# Worker processes


def test_a_worker_that_dies_costs_its_picture_only(work):
    """A crash is tried once more, then told; every other picture is done."""
    for name in "abc":
        draw(Path(f"in/{name}.png"))
    draw(Path("in/crash.png"), DIES)
    outcomes = done(plan(["in"], "out").jobs, work, 2)
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "in/a.png": "done",
        "in/b.png": "done",
        "in/c.png": "done",
        "in/crash.png": "failed",
    }
    assert "the worker process died twice (exit status 9)" in outcomes["in/crash.png"].error


def test_workers_share_the_cores_and_end_with_the_batch(work, monkeypatch):
    """Each worker gets its share of the threads; none outlives the batch; the environment is as before."""
    monkeypatch.setenv("BGKIT_THREADS", "6")
    for name in "abcd":
        draw(Path(f"in/{name}.png"))
    before = {name: os.environ.get(name) for name in processes.THREAD_NAMES}  # a caller may have set any of them
    running = Local(2).run(plan(["in"], "out").jobs, work)
    assert next(running).facts["minefield"]["threads"] == 3
    assert len(multiprocessing.active_children()) == 2
    running.close()
    assert not multiprocessing.active_children()
    assert {name: os.environ.get(name) for name in processes.THREAD_NAMES} == before


def test_number_of_workers(monkeypatch):
    """One for a few pictures, else one per core, as far as the memory goes."""
    monkeypatch.setattr(local, "threads", lambda: 8)
    monkeypatch.setattr(local, "limit", lambda: 64 << 30)
    assert [default_workers(count) for count in (1, 3, 6, 1000)] == [1, 1, 3, 8]
    monkeypatch.setattr(local, "limit", lambda: 7 << 30)
    assert default_workers(1000) == 2


# Memory


def test_room_learns_what_pictures_take():
    """What is begun beside others must fit with them; a large picture corrects the guess, a small one does not."""
    room = Room(4_000_000_000)
    assert room.fits(24_000_000, [24_000_000]) is False  # 3.3 GB each by the first guess
    assert room.fits(24_000_000, []) and room.fits(10**9, [])  # alone, any may be tried
    room.learn(1_000_000, 900_000_000)
    assert room.fits(24_000_000, [24_000_000]) is False
    room.learn(24_000_000, Room.BASE + 24_000_000 * 50)
    assert room.fits(24_000_000, [24_000_000]) and not room.fits(24_000_000, [24_000_000] * 2)
    room.learn(24_000_000, Room.BASE + 24_000_000 * 20)  # one that took less does not make room
    assert not room.fits(24_000_000, [24_000_000] * 2)


def test_memory_of_a_container(monkeypatch):
    """The limit of a container counts, and what is taken of it."""
    Path("max").write_text("3000000\n")
    Path("now").write_text("1000000\n")
    monkeypatch.setattr(memory, "CONTAINERS", ((Path("max"), Path("now")), (Path("no"), Path("no"))))
    assert memory.limit() == 3_000_000 and memory.free() == 2_000_000
    Path("max").write_text("max\n")  # of no limit
    assert memory.limit() > 3_000_000


@pytest.mark.parametrize(("gigabytes", "shape", "processes"), [(1.5, (4000, 6000), 1), (4.0, (1000, 2000), 2)])
def test_no_more_at_work_than_fit(work, gigabytes, shape, processes):
    """Where two pictures of 24 MP do not fit, one worker does both, though two are allowed; of 2 MP, each does one."""
    for name in ("in/a.png", "in/b.png"):
        draw(Path(name), rows=shape[0], cols=shape[1])
    outcomes = list(Local(2, memory=int(gigabytes * 1e9)).run(plan(["in"], "out").jobs, work))
    assert [outcome.status for outcome in outcomes] == ["done"] * 2
    assert len({outcome.facts["minefield"]["pid"] for outcome in outcomes}) == processes
    assert max(outcome.memory or 0 for outcome in outcomes) < gigabytes * 1e9


# The report


def test_report_lines(work):
    """One JSON object for each picture, with what a repeat needs; it is appended to, also after a torn line."""
    draw(Path("a.png"))
    Path("r.jsonl").write_text('{"input": "torn')
    with Report(Path("r.jsonl"), work) as report:
        for outcome in Local(1).run(plan(["a.png"]).jobs, work):
            report.add(outcome)
            line = Path("r.jsonl").read_text().splitlines()[1]  # on the disk at once
    record = json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert (record["input"], record["output"], record["status"]) == ("a.png", "a-cutout.png", "done")
    assert record["digest"] == work.pipeline.digest() and record["size"] == [12, 16]
    assert list(record["seconds"]) == ["read", "minefield", "composite", "write"]
    assert record["facts"]["minefield"]["nan"] == "nan"


def test_report_that_cannot_be_written(work):
    """Told before the first picture."""
    with pytest.raises(PlanError, match=r"^no/r\.jsonl: the report cannot be written: No such file"):
        Report(Path("no/r.jsonl"), work)


def test_names_for_a_terminal():
    """Line breaks, control characters and bytes that are no text are shown as escapes."""
    assert shown(Path("a\nb\x1b[31m.jpg")) == r"a\nb\x1b[31m.jpg"
    assert shown(os.fsdecode(b"\xff.jpg")) == r"\udcff.jpg"
    assert shown("Füße 靴.jpg") == "Füße 靴.jpg"


def test_names_that_are_hard_to_write(work):
    """Names in several scripts, with line breaks, or that are no text at all, are done and reported."""
    names = ["Füße 靴.png", "a\nb.png", os.fsdecode(b"\xff\xfe.png"), "-o.png", " .png"]
    for name in names:
        draw(Path("in") / name)
    with Report(Path("r.jsonl"), work) as report:
        for outcome in Local(1).run(plan(["in"], "out").jobs, work):
            report.add(outcome)
            assert outcome.status == "done"
    assert listing("out") == sorted(names)
    assert {json.loads(line)["input"] for line in Path("r.jsonl").read_text().splitlines()} == {
        f"in/{name}" for name in names
    }


def test_a_job_of_bytes(work):
    """A picture may come as bytes, from a pipe."""
    data = draw(Path("a.png")).read_bytes()
    (outcome,) = Local(1).run([Job(data, Path("b.png"), "stdin")], work)
    assert outcome.status == "done"
    assert np.array_equal(cv2.imread("b.png", -1)[0, 0, :3], [250, 250, 250])
