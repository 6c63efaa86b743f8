"""The server under load: requests a second and latency by number of clients, beside the bare pipeline and rembg's.

    python benchmarks/bench_serve.py [--quick] [--seconds N] [--rembg URL]

Clients are threads that post one photograph (0.26 MP, JPEG) again and again to a server in a process of its own on
the loopback address. "Bare" is the same pipeline on the same bytes, read, run and written in this process with all
threads, alternating with the server's rows: the last column is the share of its rate that is left. The last line has
the memory of server and worker before and after further requests. `--rembg` names a running `rembg s`, whose rows are
then measured in turn; with the embedded network in its custom-model session both run the same network.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import io
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import cv2
import httpx
from skimage import data

import bgkit
from bgkit.imagefile import write_picture

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = "fast"


def photograph() -> bytes:
    """A JPEG of 512 x 512."""
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))[1])


def bare(picture: bytes, seconds: float) -> float:
    """Return pictures a second of the pipeline alone."""
    pipeline = bgkit.load_pipeline(PIPELINE)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        write_picture(io.BytesIO(), bgkit.remove(picture, pipeline).result)
        count += 1
    return count / (time.perf_counter() - started)


def load(url: str, picture: bytes, clients: int, seconds: float) -> tuple[list[float], float]:
    """Let ``clients`` post for some seconds; return how long each answer took, and all of it till the last.

    A full queue is tried again.
    """
    began = time.perf_counter()
    end = time.perf_counter() + seconds

    def post(_: int) -> list[float]:
        took = []
        with httpx.Client(timeout=120) as client:
            while time.perf_counter() < end:
                started = time.perf_counter()
                answer = client.post(url, files={"file": ("a.jpg", picture)})
                while answer.status_code == 429:
                    time.sleep(0.05)
                    answer = client.post(url, files={"file": ("a.jpg", picture)})
                answer.raise_for_status()
                took.append(time.perf_counter() - started)
        return took

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        answers = [each for took in pool.map(post, range(clients)) for each in took]
    return answers, time.perf_counter() - began


def row(name: str, clients: int, answers: tuple[list[float], float], rate: float | None) -> None:
    """Print one line of the table."""
    took, seconds = answers
    p50, p95, p99 = (1000 * statistics.quantiles(took, n=100, method="inclusive")[each] for each in (49, 94, 98))
    share = f"{len(took) / seconds / rate:.0%}" if rate else ""
    print(
        f"| {name} | {clients} | {len(took) / seconds:.1f} | {p50:.0f} | {p95:.0f} | {p99:.0f} | {share} |", flush=True
    )


def resident(process: int) -> int:
    """Return the resident megabytes of a process and its children."""
    told = subprocess.check_output(["ps", "-o", "rss=", "--pid", str(process), "--ppid", str(process)], text=True)
    return sum(map(int, told.split())) // 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--requests", type=int, default=0, help="further requests between two looks at the memory")
    parser.add_argument("--rembg", metavar="URL", help="for example http://127.0.0.1:7001/api/remove")
    options = parser.parse_args()
    seconds = options.seconds or (4 if options.quick else 20)
    picture = photograph()
    command = [sys.executable, "-m", "bgkit", "serve", "--port", "0", "--queue", "64", "-p", PIPELINE]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        try:
            url = re.search(r"http://\S+/", server.stderr.readline()).group()
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                pool.submit(lambda: [None for _ in server.stderr])
                while httpx.get(f"{url}health").status_code != 200:
                    time.sleep(0.02)
                print(f"answers {time.perf_counter() - began:.2f} s after its start", end=", ")
                load(f"{url}v1/remove", picture, 1, 0.01)
                print(f"the first picture is done after {time.perf_counter() - began:.2f} s\n")
                print("| | clients | pictures/s | p50 ms | p95 ms | p99 ms | of bare |\n|---|---|---|---|---|---|---|")
                bare(picture, 1)
                for clients in (1, 2, 8, 32):
                    rate = bare(picture, seconds)
                    row("bgkit serve", clients, load(f"{url}v1/remove", picture, clients, seconds), rate)
                    if options.rembg:
                        row("rembg s", clients, load(options.rembg, picture, clients, seconds), None)
                before, more = resident(server.pid), options.requests or (50 if options.quick else 5000)
                with httpx.Client(timeout=60) as client:
                    for _ in range(more):
                        client.post(f"{url}v1/remove", content=picture).raise_for_status()
                print(
                    f"\nmemory of server and worker: {before} MB, after {more} more requests {resident(server.pid)} MB"
                )
                server.send_signal(signal.SIGTERM)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
