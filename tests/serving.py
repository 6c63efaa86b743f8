"""A server in a process of its own, as users start it, on a free port of the loopback address."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
import threading
import time

import httpx
import numpy as np
from conftest import ROOT

from bgkit.imagefile import write_picture


def picture_file(array=None) -> bytes:
    """A picture as a PNG file: by default a red block on white, 48 x 48."""
    if array is None:
        array = np.ones((48, 48, 3), np.float32)
        array[12:36, 16:32] = (0.8, 0.1, 0.15)
    file = io.BytesIO()
    write_picture(file, array)
    return file.getvalue()


class Server:
    """``bgkit serve``, ready for work; ``lines`` are its log's so far."""

    def __init__(self, *options: str, ready: bool = True) -> None:
        self.options, self.ready = options, ready

    def __enter__(self) -> Server:
        command = [sys.executable, "-m", "bgkit", "serve", "--port", "0", "--workers", "1", *self.options]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        first = self.process.stderr.readline()
        while first and "http://" not in first:
            first = self.process.stderr.readline()
        self.url = re.search(r"http://[^/\s;]+/", first).group()
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()
        until = time.monotonic() + 300
        while self.ready and time.monotonic() < until:
            try:
                if httpx.get(f"{self.url}ready", timeout=60).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(300)
        self.reader.join(10)
        self.process.stderr.close()
