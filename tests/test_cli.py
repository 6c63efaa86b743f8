"""The command line: exit status, one line for each error, nothing touched before everything is checked."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
import types
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT
from minefield import BREAKS, DIES, PIPELINE, REFUSES, SLEEPS, STOPS, WARNS, draw, install
from onnx import numpy_helper
from onnx_files import card_text, red_channel, with_card

from bgkit import stages
from bgkit.batch.jobs import Job, Outcome
from bgkit.cli import COMMANDS, app
from bgkit.cli.progress import Bar
from bgkit.models import session
from bgkit.models.store import CARDS, list_cards, path_of
from bgkit.pipelinefile import load_pipeline, read_pipeline, shipped

HEAVY = ["numpy", "scipy", "cv2", "skimage", "onnxruntime", "torch", "ruamel", "rich", "PIL", "pymatting", "numba"]


@pytest.fixture(autouse=True)
def here(tmp_path_factory, tmp_path, monkeypatch):
    """Each test works in an empty folder, with the pipeline mine.yaml and the stage ``minefield``."""
    site = tmp_path_factory.mktemp("site")
    install(site)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(site), str(ROOT / "tests")]))
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(PIPELINE)


def bgkit(*args: str, status: int = 0, **options):
    """Run a command in this process and see that it ends with ``status``."""
    result = CliRunner().invoke(app, list(args), **options)
    assert result.exit_code == status, result.stderr
    assert "Traceback" not in result.stderr
    return result


def remove(*args: str, status: int = 0, **options):
    return bgkit("remove", "-p", "mine.yaml", *args, status=status, **options)


OURS = ("mine.yaml", ".bgkit.jsonl", ".bgkit.lock")


def files() -> list[str]:
    """All files below the test's folder but the pipeline and the journal."""
    return sorted(path.as_posix() for path in Path().rglob("*") if path.is_file() and path.name not in OURS)


def process(*args: str, **options) -> subprocess.Popen:
    """Start bgkit, with Ctrl-C heard also where the tests themselves were started without it (in the background)."""
    command = [sys.executable, "-m", "bgkit", *args]
    hear = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hear, **options)


# Starting


@pytest.mark.parametrize("code", ["import bgkit", "import bgkit.cli", "bgkit.cli.app.main(['--help'])"])
def test_nothing_heavy_is_imported(code):
    """The help, and the import of bgkit, load neither NumPy nor anything else that takes long."""
    code = (
        f"import sys, bgkit.cli\ntry: {code}\nexcept SystemExit: pass\nprint([n for n in {HEAVY} if n in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()[-1] == "[]"


def test_help_and_version():
    """``bgkit --help`` lists the commands, and each has help with examples; ``--version`` tells the version."""
    assert all(name in bgkit("--help").stdout for name in COMMANDS)
    assert bgkit("--version").stdout == "bgkit 0.1.0\n"
    for name in COMMANDS:
        assert "Examples:" in bgkit(name, "--help").stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_table_of_commands_is_true(name):
    """The line of a command in the help of all is the first line of its own help."""
    command = app.get_command(None, name)
    assert command.help.partition("\n")[0] == COMMANDS[name]


def test_completion_knows_commands_and_options():
    """Click's completion works with commands that load late."""
    env = {**os.environ, "_BGKIT_COMPLETE": "bash_complete", "COMP_WORDS": "bgkit remove --back", "COMP_CWORD": "2"}
    result = subprocess.run([sys.executable, "-m", "bgkit"], env=env, capture_output=True, text=True, check=True)
    assert result.stdout == "plain,--background\n"


@pytest.mark.parametrize(("end", "status"), [("sys.exit(3)", 3), ("raise KeyError('lost')", 1)])
def test_a_process_ends_in_good_order(end, status):
    """Its threads are waited for, what is to be done at the end is done, all is printed; an error has its traceback."""
    code = f"""
import atexit, sys, threading, time
from bgkit import cli
def run(**options):
    atexit.register(print, "at the end")
    threading.Thread(target=lambda: (time.sleep(0.3), print("thread"))).start()
    print("said")
    {end}
cli.app.main = run
cli.main()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.splitlines()) == (status, ["said", "thread", "at the end"])
    assert ("lost" in ran.stderr) == (status == 1)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["remvoe", "a.jpg"], "error: no command 'remvoe'; did you mean 'remove'? (bgkit --help lists them)"),
        (["remove", "a.png", "--layr", "mask"], "error: No such option"),
        (["remove", "a.png", "--layer", "msk"], "error: Invalid value for '--layer'"),
        (["remove"], "error: Missing argument 'INPUT...'"),
        (["remove", "a.png", "--workers", "0"], "error: Invalid value for '--workers'"),
    ],
)
def test_wrong_command_lines(args, message):
    """Each is one line on standard error and status 2."""
    result = bgkit(*args, status=2)
    assert result.stderr.startswith(message)
    assert len(result.stderr.splitlines()) == 1 and not result.stdout


# remove


def test_one_picture():
    """It lands beside its picture; a repetition writes it again."""
    draw(Path("photo.png"))
    assert remove("photo.png").stderr.startswith("photo.png -> photo-cutout.png")
    Path("photo-cutout.png").write_bytes(b"")
    assert not remove("photo.png").stdout
    assert cv2.imread("photo-cutout.png", cv2.IMREAD_UNCHANGED).shape == (12, 16, 4)


def test_a_folder_goes_on_where_it_was():
    """A second run does what is missing and says what it skipped; --if-exists changes that."""
    for name in ("a", "x/b"):
        draw(Path(f"in/{name}.png"))
    assert "2 done, in" in remove("in", "-o", "out").stderr
    Path("out/a.png").unlink()
    before = Path("out/x/b.png").stat().st_mtime_ns
    result = remove("in", "-o", "out")
    assert "1 done, 1 skipped, in" in result.stderr and "--if-exists overwrite" in result.stderr
    assert Path("out/x/b.png").stat().st_mtime_ns == before
    remove("in", "-o", "out", "--if-exists", "overwrite")
    assert Path("out/x/b.png").stat().st_mtime_ns != before
    assert remove("in", "-o", "out", "--if-exists", "fail", status=2).stderr.startswith("error: out/a.png: exists")


def test_one_bad_picture_among_good_ones():
    """The others are done, the summary names the failure and its reason, the status is 1."""
    for number in range(5):
        draw(Path(f"in/{number}.png"))
    Path("in/cut.png").write_bytes(Path("in/0.png").read_bytes()[:70])
    draw(Path("in/red.png"), REFUSES)
    result = remove("in", "-o", "out", "--report", "r.jsonl", "--workers", "1", status=1)
    lines = result.stderr.splitlines()
    assert "error: in/red.png: minefield: does not like red" in lines
    assert lines[-3].startswith("5 done, 2 failed, in")
    assert lines[-2].startswith("  failed: in/cut.png: ")
    assert lines[-1] == "  failed: in/red.png: minefield: does not like red"
    assert len([name for name in files() if name.startswith("out/")]) == 5
    records = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [record["status"] for record in records].count("failed") == 2


def test_a_bug_is_told_in_one_line_and_shown_on_request():
    """An internal error names itself; --debug shows where."""
    draw(Path("a.png"), BREAKS)
    assert remove("a.png", status=1).stderr == "error: a.png: internal error: RuntimeError: a bug\n"
    result = CliRunner().invoke(app, ["--debug", "remove", "-p", "mine.yaml", "a.png"])
    assert "Traceback" in result.stderr and result.exit_code == 1


def test_quiet_says_nothing_but_errors():
    """Warnings, notes and results are left out, errors are not."""
    draw(Path("in/a.png"), WARNS)
    Path("in/notes.txt").write_text("")
    assert remove("in", "-q").stderr == ""
    assert "warning: in/a.png: stopped early" in remove("in", "--if-exists", "overwrite").stderr
    draw(Path("red.png"), REFUSES)
    assert remove("red.png", "-q", status=1).stderr == "error: red.png: minefield: does not like red\n"


def test_stop_by_the_user():
    """Ctrl-C ends with 130, says how far it came, and leaves no half file."""
    draw(Path("in/a.png"))
    draw(Path("in/b.png"), STOPS)
    draw(Path("in/c.png"))
    result = remove("in", "-o", "out", "--workers", "1", status=130)
    assert "1 done, 2 not begun or given up" in result.stderr
    assert result.stderr.endswith("stopped; the same command resumes\n")
    assert [name for name in files() if name.startswith("out")] == ["out/a.png"]


def test_a_report_in_the_output_folder():
    """It is made with the folder, and the folder of results is no place that pictures are looked for in."""
    draw(Path("in/a.png"))
    for _ in range(2):
        remove("in", "-o", "in/out", "--report", "in/out/r.jsonl")
    records = [json.loads(line) for line in Path("in/out/r.jsonl").read_text().splitlines()]
    assert [record["status"] for record in records] == ["done", "skipped"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_report_that_cannot_be_written_any_further():
    """On a full disk the pictures are done all the same, and the status tells."""
    draw(Path("in/a.png"))
    draw(Path("in/b.png"))
    result = remove("in", "-o", "out", "--report", "/dev/full", status=1)
    assert result.stderr.count("error: /dev/full: cannot be written any further: No space left on device") == 1
    assert "2 done" in result.stderr


@pytest.mark.parametrize(
    ("number", "status", "reply", "workers"),
    [(signal.SIGINT, 130, True, "1"), (signal.SIGINT, 130, True, "2"), (signal.SIGTERM, 143, False, "2")],
)
def test_signals_to_a_running_process(number, status, reply, workers):
    """Ctrl-C or an end by the system in the middle of a picture, to the whole group as a terminal sends it."""
    draw(Path("in/a.png"))
    draw(Path("in/b.png"), SLEEPS)
    running = process("remove", "in", "-o", "out", "-p", "mine.yaml", "--workers", workers, start_new_session=True)
    limit = time.monotonic() + 60
    while not Path("out/a.png").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(0.3)
    os.killpg(running.pid, number)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == status, errors
    assert (b"stopped" in errors) == reply and b"Traceback" not in errors
    assert [name for name in files() if name.startswith("out")] == ["out/a.png"]


def test_killed_at_any_moment():
    """After kill -9 at random moments and a last run every output is there once, whole, and nothing else is."""
    for number in range(40):
        draw(Path(f"in/{number % 4}/{number}.png"), rows=200, cols=300)
    moments = random.Random(5)
    for count in range(4):
        command = ["remove", "in", "-o", "out", "-p", "mine.yaml", "--workers", "12"[count % 2], "--save-steps", "s"]
        running = process(*command, start_new_session=True)
        before = len(files())
        limit = time.monotonic() + 60
        while len(files()) == before and running.poll() is None and time.monotonic() < limit:
            time.sleep(0.01)
        time.sleep(moments.random() * 0.1)
        with contextlib.suppress(ProcessLookupError):  # it may have finished first
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
    remove("in", "-o", "out", "--save-steps", "s")
    found = [Path(name) for name in files() if name.startswith("out/")]
    assert sorted(path.stem for path in found) == sorted(str(number) for number in range(40))
    assert all(cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape == (200, 300, 4) for path in found)


def test_a_crash_is_told_by_its_picture():
    """A picture that kills its worker is a failure like another."""
    draw(Path("in/a.png"))
    draw(Path("in/b.png"), DIES)
    result = remove("in", "-o", "out", "--workers", "2", status=1)
    assert "error: in/b.png: the worker process died twice" in result.stderr


def test_settings_and_background():
    """--set and --background change the pipeline, and the report's digest tells."""
    draw(Path("a.png"))
    remove("a.png", "-o", "b.png", "--background", "#0000ff", "--report", "r.jsonl")
    assert cv2.imread("b.png", cv2.IMREAD_UNCHANGED)[0, 0].tolist() == [255, 5, 5]
    remove("a.png", "-o", "c.jpg", "--set", "composite.background=lime")
    assert cv2.imread("c.jpg").shape == (12, 16, 3)
    changed = load_pipeline("mine.yaml", {"composite.background": "#0000ff"})
    assert json.loads(Path("r.jsonl").read_text())["digest"] == changed.digest()


def test_a_layer_has_its_own_name():
    """--layer alpha writes photo-alpha.png, --format its kind of file."""
    draw(Path("photo.png"))
    remove("photo.png", "--layer", "alpha", "--format", "tif")
    assert files() == ["photo-alpha.tif", "photo.png"]
    assert cv2.imread("photo-alpha.tif", cv2.IMREAD_UNCHANGED).shape == (12, 16)


def test_a_mask_of_ones_own():
    """A mask that is brought stands in for the stages that would make one."""
    draw(Path("a.png"), REFUSES)
    Path("masks").mkdir()
    cv2.imwrite("masks/a.png", 255 * np.eye(12, 16, dtype=np.uint8))
    remove("a.png", "--mask", "masks", "--save-steps", "steps")
    assert files() == ["a-cutout.png", "a.png", "masks/a.png", "steps/a/01-composite-result.png"]


WRONG = [
    (["a.png", "-p", "no-such"], r"no pipeline named 'no-such'"),
    (["a.png", "-p", "misspelt.yaml"], "misspelt.yaml:3:5: no stage named 'minefeld'; did you mean 'minefield'?"),
    (["a.png", "-p", "order.yaml"], "order.yaml:3:5: composite: needs the layer 'alpha'"),
    (["a.png", "-p", "twice.yaml"], "twice.yaml:2:1: not valid YAML"),
    (["a.png", "-p", "tabs.yaml"], "tabs.yaml:3:1: not valid YAML: a tab; YAML is indented with spaces"),
    (["a.png", "-p", "void.yaml"], "void.yaml: expected a pipeline, got an empty file"),
    (["a.png", "-p", "binary.yaml"], "binary.yaml: expected a pipeline in YAML"),
    (["a.png", "--set", "composite.blur=900"], "composite.blur: expected 0..200 per mille"),
    (["a.png", "--set", "composite.blr=9"], "composite.blr: no such parameter; did you mean 'blur'?"),
    (["a.png", "--set", "composit.blur=9"], "composit.blur: the pipeline 'mine' has no stage 'composit'"),
    (["a.png", "--set", "blur"], "--set blur: expected STAGE.PARAM=VALUE"),
    (["a.png", "--background", "reddish"], "composite.background: expected a color"),
    (["a.png", "-p", "masks.yaml", "--background", "red"], "background: the pipeline 'masks' has no stage composite"),
    (["a.png", "--layer", "trimap"], "the pipeline 'mine' makes no layer 'trimap'"),
    (["a.png", "-p", "masks.yaml"], "the pipeline 'masks' makes no layer 'result'"),
    (["a.png", "-o", "a.jpg"], "a jpg has no transparency"),
    (["a.png", "--trimap", "a.png"], "trimap: brought, but no stage of the pipeline 'mine' uses it"),
    (["a.png", "--mask", "no.png"], "--mask no.png: no such file or folder"),
    (["a.png", "b.png"], "b.png: no such file or folder"),
    (["empty", "-o", "out"], "empty: no pictures in this folder"),
    (["a.png", "-o", "a.png"], "a.png: is an input; choose another output"),
    (["a.png", "-o", "binary.yaml/out"], "binary.yaml/out: cannot be made: binary.yaml is a file"),
    (["a.png", "--report", "no/r.jsonl"], "no/r.jsonl: the report cannot be written"),
    (["a.png", "-o", "out", "--report", "no/r.jsonl"], "no/r.jsonl: the report cannot be written"),
    (["a.png", "--scheduler", "tcp://127.0.0.1:1"], "scheduler: the engine 'local' has no such setting"),
    (["a.png", "--engine", "dask", "--memory", "1"], "memory: the engine 'dask' has no such setting"),
    (["a.png", "-p", "no.json"], "no.json: cannot be read: No such file"),
    (["-", "a.png"], "a pipe takes one picture"),
    (["-", "-o", "out"], "out: a picture from a pipe has no name; give -o FILE"),
]


@pytest.mark.parametrize(("args", "message"), WRONG, ids=[" ".join(args) for args, _ in WRONG])
def test_wrong_from_the_start(args, message):
    """Status 2, one line that says place and remedy, and no file more or less than before."""
    draw(Path("a.png"))
    Path("empty").mkdir()
    Path("misspelt.yaml").write_text("bgkit: 1\nstages:\n  - minefeld\n")
    Path("order.yaml").write_text("bgkit: 1\nstages:\n  - composite\n  - minefield\n")
    Path("twice.yaml").write_text("bgkit: 1\nbgkit: 1\nstages: [minefield]\n")
    Path("tabs.yaml").write_text("bgkit: 1\nstages:\n\t- minefield\n")
    Path("void.yaml").write_text("")
    Path("masks.yaml").write_text("bgkit: 1\nstages: [minefield]\n")
    Path("binary.yaml").write_bytes(Path("a.png").read_bytes())
    before = files()
    result = remove(*args, status=2)
    assert result.stderr.startswith(f"error: {message}"), result.stderr
    assert len(result.stderr.splitlines()) == 1 and not result.stdout
    assert files() == before
    assert not Path("out").exists()


# Pipes


def test_pipe():
    """The picture comes from standard input, and nothing but the result goes to standard output."""
    data = draw(Path("a.png")).read_bytes()
    result = remove("-", input=data)
    assert result.stdout_bytes.startswith(b"\x89PNG")
    assert result.stderr.startswith("stdin -> -")
    assert files() == ["a.png"]


def test_pipe_of_a_process():
    """The same through real pipes, in another format."""
    data = draw(Path("a.png")).read_bytes()
    running = process("remove", "-p", "mine.yaml", "-q", "-", "--format", "webp", stdin=subprocess.PIPE)
    out, errors = running.communicate(data, timeout=60)
    assert running.returncode == 0 and not errors
    assert out[:4] == b"RIFF" and out[8:12] == b"WEBP"


def test_half_pipes():
    """A file may go to a pipe, and a pipe to a file."""
    data = draw(Path("a.png")).read_bytes()
    assert remove("a.png", "-o", "-", "--report", "r.jsonl").stdout_bytes.startswith(b"\x89PNG")
    assert json.loads(Path("r.jsonl").read_text())["output"] == "-"
    assert remove("-", "-o", "b.png", input=data).stdout_bytes == b""
    assert Path("b.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("data", [b"", b"no picture at all"])
def test_pipe_without_a_picture(data):
    """What is no picture is one error and status 1, and nothing goes to standard output."""
    result = remove("-", input=data, status=1)
    assert result.stderr.startswith("error: stdin: ") and not result.stdout_bytes


# check, stages, pipelines


def test_check():
    """A good file is told so, a bad one with its place, and the status is that of the worst."""
    Path("bad.yaml").write_text("bgkit: 1\nstages:\n  - composite: {blur: 900}\n")
    assert bgkit("check", "mine.yaml").stdout == "ok  mine.yaml: 2 stages\n"
    result = bgkit("check", "bad.yaml", "mine.yaml", status=2)
    assert result.stderr.startswith("error: bad.yaml:3:23: composite.blur: expected 0..200")
    assert result.stdout == "ok  mine.yaml: 2 stages\n"


def test_stages():
    """The list has every stage with its summary, those of other packages, too."""
    lines = {line.split()[0]: line for line in bgkit("stages").stdout.splitlines()}
    assert list(lines) == stages.names()
    assert lines["minefield"].endswith("Mark all that is not red, or fail in the way that the first pixel asks for.")


@pytest.mark.parametrize("name", stages.names())
def test_page_of_a_stage(name):
    """It has each parameter with what is expected; --json is the schema."""
    info = stages.find(name)
    page = bgkit("stages", name).stdout
    assert page.startswith(f"{name}: {info.summary}\n")
    assert all(f"\n  {param.name} = " in page and param.expected in page for param in info.settings.values())
    assert ">>>" not in page
    assert json.loads(bgkit("stages", name, "--json").stdout) == info.schema()


def test_a_device_that_is_absent_is_found_before_the_first_picture(tmp_path):
    """The message lists what there is; nothing is written."""
    draw(tmp_path / "a.png")
    said = bgkit("remove", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "--device", "coreml", status=2).stderr
    assert said.startswith("error: cnn_mask.model: provider: expected one that this ONNX Runtime has (cpu")
    assert not (tmp_path / "out").exists()


def test_stages_as_json():
    """Without a name, the schemas of all by name."""
    assert list(json.loads(bgkit("stages", "--json").stdout)) == stages.names()


def test_unknown_stage():
    """The nearest name is suggested."""
    assert bgkit("stages", "compost", status=2).stderr.startswith(
        "error: no stage named 'compost'; did you mean 'composite'?"
    )


def test_pipelines():
    """The list has every shipped pipeline; one that is printed can be saved and used."""
    assert [line.split()[0] for line in bgkit("pipelines").stdout.splitlines()] == shipped()
    for name in shipped():
        text = bgkit("pipelines", name).stdout
        assert read_pipeline(text).digest() == load_pipeline(name).digest()


def test_schema_of_pipeline_files():
    """It holds the schema of each stage's parameters."""
    step = json.loads(bgkit("schema", "pipeline").stdout)["properties"]["stages"]["items"]
    assert step["then"]["enum"] == stages.names() == list(step["else"]["properties"])


@pytest.mark.parametrize("kind", ["recipe", "card"])
def test_schema_of_other_files(kind):
    """What is printed is what the package ships."""
    shipped_text = (ROOT / "bgkit" / "schemas" / f"{kind}.json").read_text()
    assert json.loads(bgkit("schema", kind).stdout) == json.loads(shipped_text)


# models


@pytest.fixture
def network(monkeypatch):
    """A small network, mine.onnx, with its card, mine.toml, and an empty store."""
    monkeypatch.setenv("BGKIT_HOME", "home")
    monkeypatch.setenv("BGKIT_OFFLINE", "1")
    card = next(card for card in list_cards() if path_of(card).is_file())
    Path("mine.onnx").write_bytes(path_of(card).read_bytes())
    text = (CARDS / f"{card.name}.toml").read_text().replace(f'"{card.name}"', '"mine"')
    Path("mine.toml").write_text(text.replace(card.file.name, "mine.onnx"))
    return card


def test_models_are_listed_and_shown(network):
    """The list says what is here, the page what it may be used for."""
    lines = {line.split()[0]: line for line in bgkit("models", "list").stdout.splitlines()}
    assert list(lines) == [card.name for card in list_cards()]
    assert " here " in lines[network.name] and network.use in lines[network.name]
    page = bgkit("models", "show", network.name).stdout
    assert network.file.sha256 in page and network.license.name in page


def test_a_network_is_added_and_verified(network):
    """What was added is listed and verified; a damaged file is told, with status 1."""
    added = Path("home/models/mine/mine.onnx")
    assert bgkit("models", "add", "mine.onnx", "--card", "mine.toml").stdout == f"mine: added, {added}\n"
    good = f"mine: good (checked: sha256 and the graph), {added}"
    assert good in bgkit("models", "verify").stdout.splitlines()
    (stored,) = Path("home/models/mine").glob("*.onnx")
    stored.write_bytes(stored.read_bytes()[:-1])
    result = bgkit("models", "verify", status=1)
    assert "mine" in result.stderr and result.stdout.startswith(network.name)


def test_a_file_is_shown_and_verified_with_the_card_beside_it(network):
    """A card can be checked before its network is added."""
    page = bgkit("models", "show", "mine.onnx").stdout
    assert page.startswith("mine: ") and "activation none" in page and "mine.onnx (here)" in page
    assert bgkit("models", "verify", "mine.onnx").stdout.startswith("mine.onnx: good (checked: sha256 and the graph)")
    Path("mine.toml").write_text(Path("mine.toml").read_text().replace('name = "mask"', 'name = "alpha"'))
    assert "output.name: expected one of" in bgkit("models", "verify", "mine.onnx", status=1).stderr


def test_a_card_is_shown_field_by_field():
    """What goes in and how the answer is read: size, order, values, layout, activation, classes."""
    Path("net.toml").write_text(
        card_text(
            'short_side = 64\nmultiple = 8\norder = "BGR"\nscale = 255\nmean = [1, 2, 2]\ndeviation = 3\n'
            "mirror = true\ncloser = 0.5",
            'activation = "softmax"\nclasses = [0, 4]\nstretch = true',
        )
    )
    red_channel(Path("net.onnx"))
    lines = dict(line.split(maxsplit=1) for line in bgkit("models", "show", "net.onnx").stdout.splitlines())
    assert lines["size"] == "short side 64, multiples of 8, rounding down, interpolation area"
    assert (lines["order"], lines["layout"], lines["mirror"]) == ("BGR", "NCHW", "yes")
    assert lines["closer"] == "where its window covers less than 50% of the picture"
    assert lines["image"] == "scale 255, mean 1,2,2, deviation 3"
    assert lines["output"] == "the only one, activation softmax, classes 0, 4, layout NCHW, stretched"
    assert lines["sha256"] == sha256(Path("net.onnx").read_bytes()).hexdigest()


def test_an_added_network_has_its_size_in_the_list_and_is_removed(network):
    """Also where its card has no bytes."""
    Path("mine.toml").write_text(re.sub("(bytes|sha256) = .*", "", Path("mine.toml").read_text()))
    bgkit("models", "add", "mine.onnx")
    (line,) = (line for line in bgkit("models", "list").stdout.splitlines() if line.startswith("mine "))
    assert f"{Path('mine.onnx').stat().st_size / 1e6:.1f} MB" in line
    assert bgkit("models", "remove", "mine").stdout == "mine: removed\n"
    assert "mine" not in bgkit("models", "list").stdout.split()
    reply = bgkit("models", "remove", "mine", network.name, status=1).stderr
    assert "no network named 'mine'" in reply and "cannot be removed" in reply


def test_a_bare_file_is_told_in_report_and_on_the_terminal():
    """What was read from the graph and what was assumed are warnings: in the report, and silent with -q."""
    red_channel(Path("bare.onnx"), (1, 3, 16, 16), "Sigmoid")
    draw(Path("a.png"))
    Path("bare.yaml").write_text("bgkit: 1\nstages:\n  - cnn_mask: {model: bare.onnx}\n")
    loud = bgkit("remove", "a.png", "-p", "bare.yaml", "--layer", "mask", "-o", "b.png", "--report", "r.jsonl")
    assert "warning: a.png: bare.onnx: read from the graph" in loud.stderr and "bare.onnx: assumed: RGB" in loud.stderr
    line = json.loads(Path("r.jsonl").read_text())
    assert [text.split(": ")[1] for text in line["warnings"]] == ["read from the graph", "assumed"]
    session._networks.clear()
    assert bgkit("remove", "a.png", "-p", "bare.yaml", "--layer", "mask", "-o", "c.png", "-q").stderr == ""


def test_fetching(network):
    """What is here is not fetched again; a wrong name is status 2, a failure status 1."""
    assert bgkit("models", "fetch", network.name).stdout.startswith(f"{network.name}: ")
    assert bgkit("models", "fetch", "no-such", status=2).stderr.startswith("error: no network named 'no-such'")
    bgkit("models", "add", "mine.onnx", "--card", "mine.toml")
    next(Path("home/models/mine").glob("*.onnx")).unlink()
    assert bgkit("models", "fetch", "mine", status=1).stderr.startswith("error: the network 'mine' ")


def test_a_network_that_is_not_here_is_told_before_the_first_picture():
    """Status 2, for a pipeline that cannot run."""
    draw(Path("a.png"))
    result = bgkit("remove", "a.png", "-p", "fast", "--set", "cnn_mask.model=no-such", status=2)
    assert result.stderr.startswith("error: ") and "no network named 'no-such'" in result.stderr
    assert files() == ["a.png"]


# evaluate


def test_evaluate():
    """A table, or JSON, or a file; what could not be scored makes the status 1."""
    draw(Path("truth/a.png"), (0, 0, 0))
    for name in ("truth/a.png", "cut/a.png"):
        mask = np.zeros((12, 16), np.uint8)
        mask[3:9, 4:12] = 255
        Path(name).parent.mkdir(exist_ok=True)
        cv2.imwrite(name, mask)
    options = ["evaluate", "--predictions", "cut", "--truth", "truth", "--metrics", "iou,mae"]
    assert "IoU" in bgkit(*options).stdout
    assert json.loads(bgkit(*options, "--json", "-o", "t.csv").stdout)["figures"] == {"mae": 0.0, "iou": 1.0}
    assert Path("t.csv").read_text().startswith("name,kind,mae,iou")
    assert bgkit("evaluate", "cut", "truth").stdout == bgkit("evaluate", "--truth", "truth", "cut").stdout
    assert "expected two folders" in bgkit("evaluate", "cut", status=2).stderr
    cv2.imwrite("cut/b.png", mask)
    assert "prediction without a truth" in bgkit(*options, status=1).stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics", "iuo"], "error: metrics: expected names among"),
        (["-o", "t.html"], "error: -o t.html: expected a name that ends in .json, .csv, .txt"),
        (["-o", "no/t.csv"], "error: -o no/t.csv: there is no folder no"),
        (["--dataset", "no"], "error: data set: expected one of"),
    ],
)
def test_wrong_evaluations(options, message):
    """Each is told before anything is scored."""
    draw(Path("cut/a.png"))
    assert bgkit("evaluate", "--predictions", "cut", "--truth", "cut", *options, status=2).stderr.startswith(message)


# train, export


def test_training_is_handed_on(monkeypatch):
    """What is given reaches the library as a checked recipe; a folder is trained on by the recipe small."""
    pytest.importorskip("torch", reason="training needs bgkit[train]")
    loop = types.ModuleType("bgkit.train.loop")

    def train(recipe, run, say, on_step):
        course = recipe.course
        say(f"{Path(recipe.data.folder).name} {run} {recipe.network} {course.epochs} {course.sizes} {course.threads}")
        return Path("best.pt")

    loop.train = train
    monkeypatch.setitem(sys.modules, "bgkit.train.loop", loop)
    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # so that what the command sets is taken back
    monkeypatch.delenv("OMP_WAIT_POLICY")
    Path("data").mkdir()
    reply = bgkit("train", "data", "-o", "run", "--epochs", "3", "--threads", "1", "--sizes", "64,96").stdout
    assert reply == "data run coarse 3 (64, 96) 1\nbest checkpoint: best.pt\n"
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    Path("mine.yaml").write_text("bgkit: 1\nepochs: 4\ndata: {folder: data}\n")
    assert bgkit("train", "mine.yaml", "--set", "sizes=32").stdout.startswith(
        f"data {Path('runs/mine')} coarse 4 (32,) 0"
    )
    assert bgkit("train", "embedded", "--data", "data").stdout.startswith("data runs/embedded coarse")
    assert bgkit("train", "data", "-o", "run", "--sizes", "50", status=2).stderr.startswith(
        "error: sizes: coarse expects"
    )
    assert bgkit("train", "data").stdout.startswith(f"data {Path('runs/data')} coarse 12")
    assert bgkit("train", "no", "-o", "run", status=2).stderr.startswith("error: no recipe named 'no'")
    assert bgkit("train", "data", "-o", "run", "--set", "epochs", status=2).stderr.startswith(
        "error: --set epochs: expected"
    )


def test_exporting_is_handed_on(monkeypatch):
    """Paths are checked before anything is read; the files that were written are named."""
    pytest.importorskip("torch", reason="export needs bgkit[train]")
    module = types.ModuleType("bgkit.train.export")
    module.export = lambda sources, target, **options: 1e-5
    monkeypatch.setitem(sys.modules, "bgkit.train.export", module)
    Path("best.pt").touch()
    assert bgkit("export", "best.pt", "-o", "a.onnx").stdout.startswith("a.onnx: written, with a.toml and a.md")
    assert bgkit("export", "last.pt", "-o", "a.onnx", status=2).stderr == "error: last.pt: no such file or run\n"
    assert bgkit("export", "best.pt", "-o", "no/a.onnx", status=2).stderr.startswith("error: no/a.onnx: there is no")
    assert bgkit("export", "best.pt", "-o", "a.pt", status=2).stderr.startswith(
        "error: a.pt: expected a name that ends"
    )


@pytest.mark.parametrize("name", ["train", "export"])
def test_missing_torch_is_told(name, monkeypatch):
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "bgkit.train.loop", raising=False)
    monkeypatch.delitem(sys.modules, "bgkit.train.export", raising=False)
    result = bgkit(name, "a", "-o", "b", status=2)
    assert 'ing needs an optional part: pip install "bgkit[train]"' in result.stderr


def test_missing_dask_is_told(monkeypatch):
    """With the command that installs it, before anything is touched."""
    draw(Path("a.png"))
    monkeypatch.setitem(sys.modules, "distributed", None)
    reply = remove("a.png", "--engine", "dask", status=2).stderr
    assert reply == 'error: --engine dask needs an optional part: pip install "bgkit[dask]"\n'
    assert files() == ["a.png"]


# Progress


def test_bar_says_what_lines_say(capsys):
    """With a bar, errors and the summary are written above it."""
    with Bar() as bar:
        bar.begin(2, ["read", "write"])
        bar.add(Outcome(Job(Path("[b]a.png"), Path("x.png"), "[b]a.png"), "failed", "too [red] a :smile:"))
        bar.add(Outcome(Job(Path("b.png"), Path("y.png"), "b.png"), "done"))
        bar.finish()
    written = capsys.readouterr().err
    assert "error: [b]a.png: too [red] a :smile:" in written
    assert "1 done, 1 failed, in" in written


# The page on the command line


def documented() -> list[str]:
    """Every ``bgkit remove`` of the page, the README, and the commands' own examples."""
    pages = [(ROOT / page).read_text() for page in ("README.md", "docs/reference/command-line.md")]
    text = "\n".join([*pages, *(app.get_command(None, name).epilog for name in COMMANDS)])
    return sorted(set(re.findall(r"bgkit remove (?!INPUT)[^`|\n>]+?(?=`| *[|>]|  |\n|\b$)", text)))


@pytest.mark.parametrize("line", documented())
def test_documented_commands_plan(line, monkeypatch):
    """Each example gets as far as doing pictures."""
    for name in ("photo", "a", "x/b", "shots/s/a", "shoot/a", "masks/s/a", "raw/x/a", "day1/a", "day2/a"):
        draw(Path(f"{name}.{'tif' if name == 'raw/x/a' else 'jpg'}"))
    Path("my.yaml").write_text(PIPELINE)
    Path("cut").mkdir()
    Path("cut/a.png.json").write_text(json.dumps({"pipeline": "minefield", "pipeline_yaml": PIPELINE}))
    known = shlex.split(line)[1:]
    known = [word.replace("u2net", "coarse") for word in known]
    monkeypatch.setattr("bgkit.batch.running.run_job", lambda job, *_: Outcome(job, "failed", "not really done"))
    result = bgkit(*known, status=1, input=Path("photo.jpg").read_bytes())
    assert "error: " in result.stderr and "not really done" in result.stderr


CHECKED = "bgkit: 1\nstages: [minefield, composite: {background: none}]\nchecks: {subject: 50}"


def test_flagged_pictures_are_told_reported_copied_and_counted():
    """A finding has its line on the terminal and in the report; --strict alone changes the exit status."""
    Path("mine.yaml").write_text(CHECKED)
    draw(Path("in/x/a.png"))
    draw(Path("in/b.png"), (5, 250, 250))
    reply = remove("in", "-o", "out", "--report", "log.jsonl", "--review", "see").stderr
    assert "look: in/x/a.png: subject 6" not in reply
    assert reply.count("look: ") == 1
    assert "(at least 50): see whether there is a subject" in reply
    assert "1 to look at:\n  subject (" in reply
    flags = {record["input"]: record["flags"] for record in map(json.loads, Path("log.jsonl").read_text().splitlines())}
    assert sorted(map(len, flags.values())) == [0, 1]
    assert len(list(Path("see").rglob("*.png"))) == 1
    remove("in", "-o", "out", "--if-exists", "overwrite", "--strict", status=1)


def test_watch_does_what_is_there_and_ends():
    """With --once the folder is worked off; a failed picture is told by name and by the exit status."""
    draw(Path("in/x/a.png"))
    done = bgkit("watch", "in", "-o", "out", "-p", "mine.yaml", "--settle", "0", "--every", "0.02", "--once")
    assert "x/a.png -> x/a.png" in done.stderr
    assert Path("out/x/a.png.json").exists()
    draw(Path("in/b.png"), REFUSES)
    again = bgkit("watch", "in", "-o", "out", "-p", "mine.yaml", "--settle", "0", "--every", "0.02", "--once", status=1)
    assert "does not like red" in again.stderr
    assert "x/a.png" not in again.stderr


def test_watch_once_ends_where_the_disk_is_full(monkeypatch):
    """A timer's run does not wait for room: it says what is wrong, and the same command goes on."""
    from bgkit.batch import watching

    draw(Path("in/a.png"))
    once = ("watch", "in", "-o", "out", "-p", "mine.yaml", "--settle", "0", "--every", "0.02", "--once")
    monkeypatch.setattr(watching, "ROOM", 1 << 80)
    assert "disk full" in bgkit(*once, status=1).stderr
    assert not Path("out/a.png").exists()
    monkeypatch.setattr(watching, "ROOM", 0)
    assert "a.png -> a.png" in bgkit(*once).stderr


def test_watch_refuses_before_it_begins():
    """A folder that is not there, a pipeline that is not there."""
    assert bgkit("watch", "in", "-o", "out", "-p", "mine.yaml", status=2).stderr.startswith("error: in: no such folder")
    assert "no pipeline named" in bgkit("watch", ".", "-o", "out", "-p", "nix", status=2).stderr


# What is wrong with networks and sizes is found before the first picture


def test_a_network_without_its_weights_touches_nothing():
    """Weights that lie in a second file ("external data") and are gone end the command with status 2."""
    from onnx import load, save

    draw(Path("a.png"))
    draw(Path("b.png"))
    with_card(red_channel(Path("net.onnx")))
    network = load("net.onnx")
    network.graph.initializer.append(numpy_helper.from_array(np.zeros(999, np.float32), "weights"))
    save(network, "net.onnx", save_as_external_data=True, location="net.data", size_threshold=100)
    Path("net.data").unlink()
    found = bgkit("remove", "a.png", "b.png", "-o", "cut", "-p", "fast", "--set", "cnn_mask.model=net.onnx", status=2)
    assert re.search(r"net\.onnx: expected its weights in .*net\.data, got no such file", found.stderr)
    assert not Path("cut").exists()


def test_a_default_network_that_is_gone_touches_nothing(monkeypatch):
    """So does a network that the pipeline did not name."""
    draw(Path("a.png"))
    pipeline = load_pipeline("fast")  # checked while the network was there
    monkeypatch.setattr("bgkit.models.store.WEIGHTS", Path("nowhere"))
    monkeypatch.setattr("bgkit.pipelinefile.load_pipeline", lambda *_: pipeline)
    found = bgkit("remove", "a.png", "-o", "cut", "-p", "fast", status=2)
    assert "the network 'coarse' is not here" in found.stderr
    assert not Path("cut").exists()


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((2, 16384), ("--format", "webp"), r"long.png: has 2 x 16384 pixels .* \.webp holds at most 16383"),
        ((16384, 2), ("--format", "webp", "--layer", "mask"), r"has 16384 x 2"),
        ((2, 65501), ("--format", "jpg", "--background", "white"), r"\.jpg holds at most 65500"),
        ((2, 5462), ("--format", "webp", "--strip"), r"\.webp holds at most 16383"),
    ],
)
def test_a_result_too_large_for_its_format_touches_nothing(shape, options, message):
    """The header of the last picture is enough to stop before the first."""
    draw(Path("a.png"))
    cv2.imwrite("long.png", np.full((*shape, 3), 200, np.uint8))
    found = remove("a.png", "long.png", "-o", "cut", *options, status=2)
    assert re.search(message, found.stderr)
    assert not Path("cut").exists()


def test_a_frame_makes_a_large_picture_fit():
    """Where the subject is set into a frame, the picture's own size says nothing."""
    cv2.imwrite("long.png", np.full((2, 16384, 3), 200, np.uint8))
    Path("framed.yaml").write_text(PIPELINE + "  - frame: {size: 100}\n")
    bgkit("remove", "-p", "framed.yaml", "long.png", "-o", "cut", "--format", "webp")
