"""Forked processes: what was used with several threads before works in the child, gives the same bits, and ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

LONG = 120  # seconds after which a child counts as held up
START = """
import hashlib, multiprocessing, os, signal, sys
import numpy as np
import bgkit
import bgkit.errors

bgkit.threads.set_threads(2)
picture = np.full((90, 120, 3), 0.9, np.float32)
picture[20:70, 30:80] = (0.6, 0.1, 0.1)

def work(number=0):
    return hashlib.sha256(bgkit.remove(picture, "auto").alpha.tobytes()).hexdigest()
"""


def run(script: str) -> str:
    """Run a script that begins with a picture done by two threads, and return what it printed."""
    before = "import bgkit.threads\n" + START + "before = work()\n"
    command = [sys.executable, "-c", before + script]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=LONG, cwd=ROOT).stdout.strip()


def test_os_fork():
    """The child does the same picture and ends by itself."""
    script = """
child = os.fork()
if child == 0:
    signal.alarm(100)
    sys.exit(0 if work() == before else 3)
print(os.waitpid(child, 0)[1], work() == before)
"""
    assert run(script) == "0 True"


def test_pool_of_forked_processes():
    """``multiprocessing.Pool`` under the method ``fork`` does many."""
    script = """
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(set(pool.map_async(work, range(4)).get(100)) == {before})
"""
    assert run(script) == "True"


def test_threads_of_a_forked_process():
    """A child has one; asking for more is an error that says how to have them."""
    script = """
if (child := os.fork()) == 0:
    caught = ""
    try:
        bgkit.threads.set_threads(2)
    except bgkit.errors.ParamError as error:
        caught = str(error)
    os._exit(0 if bgkit.threads.threads() == 1 and "spawn" in caught else 3)
print(os.waitpid(child, 0)[1], bgkit.threads.threads())
"""
    assert run(script) == "0 2"


def test_a_child_of_one_thread_may_have_more():
    """Who forks before anything ran with several threads loses none."""
    script = """
import bgkit.threads, os
child = os.fork()
if child == 0:
    bgkit.threads.set_threads(3)
    os._exit(bgkit.threads.threads())
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "3"


def test_a_lock_that_another_thread_holds_is_open_in_the_child():
    """Who forks while a thread looks for findings, or loads a network, has a child that does the same."""
    script = """
import threading
from bgkit.findings import _once
from bgkit.models import session
inside = threading.Event()

@_once
def measured(picture, layers):
    if not inside.is_set():
        inside.set()
        threading.Event().wait()
    return 7

def load_and_measure():
    with session._lock:
        measured(picture, session)

threading.Thread(target=load_and_measure, daemon=True).start()
inside.wait()
if (child := os.fork()) == 0:
    signal.alarm(100)
    session.network("coarse")
    os._exit(measured(picture, session))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run(script) == "7"


def test_a_child_writes_its_errors_where_its_parent_does():
    """Also if it was forked while a thread listened to what a decoder says on standard error."""
    script = """
import threading
from bgkit.imagefile._noise import heard
inside, leave = threading.Event(), threading.Event()
errors = os.fstat(2)

def listen():
    with heard():
        inside.set()
        leave.wait(1)

threading.Thread(target=listen).start()
inside.wait()
if (child := os.fork()) == 0:
    now = os.fstat(2)
    os._exit(int((now.st_dev, now.st_ino) != (errors.st_dev, errors.st_ino)))
print(os.waitpid(child, 0)[1])
"""
    assert run(script) == "0"


def test_gunicorn_with_preload(tmp_path):
    """The application is loaded and used before the workers are forked; they answer, and end when asked."""
    pytest.importorskip("gunicorn", reason="gunicorn is not installed")
    app = """before = work()
def app(environ, start):
    start("200 OK", [])
    return [str(work() == before).encode()]
"""
    (tmp_path / "shop.py").write_text("import bgkit.threads\n" + START + app)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "-b", address, "shop:app"]
    path = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path) as serving:
        try:
            assert _ask(address) == b"True"
        finally:
            serving.terminate()
            try:
                serving.wait(25)  # gunicorn kills after 30 what does not end
            except subprocess.TimeoutExpired:
                serving.kill()
                raise


def _ask(address: str) -> bytes:
    limit = time.monotonic() + LONG
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=LONG) as answer:
                return answer.read()
        except OSError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.2)
