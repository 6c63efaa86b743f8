"""What reaches the terminal when the world is hostile: one printable line, the right exit status, nothing endless."""

from __future__ import annotations

import http.server
import os
import threading
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from bgkit.batch.journal import NAME
from bgkit.cli import app
from bgkit.comparison.runs import make_variants
from bgkit.errors import ModelError, PlanError
from bgkit.models import fetching


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Each test works in an empty folder with a picture and a pipeline of milliseconds."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    cv2.imwrite("in/a.png", np.full((16, 16, 3), 200, np.uint8))
    Path("p.yaml").write_text("bgkit: 1\nstages: [luv_threshold, composite]\n")


def call(*args: str, status: int) -> str:
    result = CliRunner().invoke(app, args)
    assert result.exit_code == status, (result.output, result.exception)
    return result.stderr


def test_debug_prints_the_traceback():
    """--debug shows where an error was raised."""
    reply = call("--debug", "check", "no-such.yaml", "p.yaml", status=2)
    reply = call("--debug", "remove", "in", "-p", "nosuch", status=2)
    assert reply.startswith("Traceback") and "PipelineError" in reply and "NoneType" not in reply


@pytest.mark.parametrize(
    "args",
    [
        ("check", "x" * 5000), ("check", "a/" * 3000), ("remove", "x" * 5000),
        ("remove", "in", "-p", "y" * 300 + ".yaml"),
        ("remove", "in", "-o", "z" * 300), ("remove", "in", "--mask", "m" * 300), ("watch", "in", "-o", "o" * 300),
        ("remove", "in", "--set", "composite.background=" + "c" * 5000), ("models", "show", "n" * 3000),
        ("remove", "in", "--set", "cnn_mask.model=" + "n" * 3000 + ".onnx"),
        ("compare", "-p", "p.yaml", "--images", "i" * 300, "-o", "out"), ("remove", "in", "-p", "s" * 300 + ".json"),
    ],
    ids=lambda args: " ".join(args)[:24],
)  # fmt: skip
def test_names_that_no_file_can_have(args):
    """Exit status 2 and one line of bearable length."""
    reply = call(*args, status=2)
    assert "internal error" not in reply and reply.count("\n") == 1 and len(reply) < 2200


def test_escapes_stay_on_paper():
    """A key that would color the terminal is written out."""
    Path("e.yaml").write_text('bgkit: 1\nstages: [opening]\n"\\u202ekey": 1\n')
    assert "\\u202ekey: no such key" in call("check", "e.yaml", status=2)


def test_a_journal_that_is_no_file():
    """A device or a pipe in the journal's place is refused before the first picture."""
    for make in (lambda path: os.mkfifo(path), lambda path: path.symlink_to("/dev/zero")):
        path = Path("out", NAME)
        path.parent.mkdir(exist_ok=True)
        make(path)
        assert "expected a file, the journal" in call("remove", "in", "-o", "out", "-p", "p.yaml", status=2)
        path.unlink()


def test_a_journal_of_broken_lines():
    """Lines without their keys, or nested beyond measure, do not make a folder unusable."""
    Path("out").mkdir()
    Path("out", NAME).write_text('{"output": "a.png"}\n[1]\n"a"\n' + "[" * 100_000 + '\n{"output": {}, "bytes": 1}\n')
    call("remove", "in", "-o", "out", "-p", "p.yaml", status=0)
    assert "1 skipped" in call("remove", "in", "-o", "out", "-p", "p.yaml", status=0)


def test_a_name_that_is_not_utf_8():
    """Such a picture is done, packed and compared."""
    os.rename("in/a.png", os.fsdecode(b"in/\xff\xfe.png"))  # noqa: PTH104
    call("remove", "in", "-o", "out", "-p", "p.yaml", "--zip", "all.zip", status=0)
    with zipfile.ZipFile("all.zip") as archive:
        assert archive.namelist() == ["\\udcff\\udcfe.png"]
    call("compare", "-p", "p.yaml", "--images", "in", "-o", "report", "--workers", "1", status=0)


def test_a_sweep_of_thousands_is_not_begun():
    """How many variants there are is said, and nothing is done, unless somebody means it."""
    values = ",".join(map(str, range(1, 101)))
    sweep = ["luv_threshold.tolerance=" + values, "luv_threshold.softness=" + values]
    with pytest.raises(PlanError, match="makes 10000 variants, more than 1000"):
        make_variants(["p.yaml"], sweep)
    args = [part for text in sweep for part in ("--sweep", text)]
    assert "10000 variants" in call("compare", "-p", "p.yaml", "--images", "in", "-o", "r", *args, status=2)
    assert not Path("r").exists()


class Hostile(http.server.BaseHTTPRequestHandler):
    """Answers as the path says."""

    def do_GET(self):
        if self.path.startswith("/to"):
            self.send_response(302)
            self.send_header("Location", {"/to-host": "http://[::1", "/to-port": "http://h:99999999/"}[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        if self.path == "/digits":
            self.send_header("Content-Length", "9" * 5000)
        elif self.path == "/large":
            self.send_header("Content-Length", str(1 << 40))
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(1 << 16))
        except OSError:
            pass

    def log_message(self, *args):
        pass


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/endless", "sends more than the 1000000 bytes"),
        ("/large", "the server has 1099511627776 bytes"),
        ("/digits", "."),
        ("/to-host", "the server's answer makes no sense"),
        ("/to-port", "."),
    ],
)
def test_hostile_servers(path, message, tmp_path, monkeypatch):
    """A download without end, headers of thousands of digits and addresses that are none end with one line."""
    monkeypatch.setattr(fetching, "MOST", 1_000_000)
    monkeypatch.setattr(fetching, "PAUSES", ())
    monkeypatch.setenv("no_proxy", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with pytest.raises(ModelError, match=message) as caught:
            fetching.download(f"http://127.0.0.1:{server.server_port}{path}", tmp_path / "n.onnx", sha256="0" * 64)
        server.shutdown()
    assert str(caught.value).isprintable() and not (tmp_path / "n.onnx").exists()
