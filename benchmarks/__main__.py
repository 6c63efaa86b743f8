"""Run every speed benchmark in turn and print its table: ``python -m benchmarks [--quick]``.

Each ``bench_*.py`` also runs alone. Quality tables need the real pictures and run by themselves:
``benchmarks/quality.py`` and ``benchmarks/coarse_network.py``; so does ``benchmarks/architectures.py``, which trains.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path


def processor() -> str:
    """What the machine calls its processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def kernels() -> str:
    """Which variant of the kernels runs here: the processor's best, or what ``BGKIT_ISA`` names."""
    from bgkit._ext import VARIANT

    names = {"v1": "any x86-64", "v3": "AVX2", "v4": "AVX-512"}
    return f"{VARIANT} ({names[VARIANT]})" if VARIANT else "one variant"


def machine() -> str:
    """Return what a table must say of where it was measured."""
    return f"{processor()}, {os.cpu_count()} cores, kernels: {kernels()}, Python {platform.python_version()}"


def main() -> int:
    folder = Path(__file__).parent
    print(f"{machine()}, {platform.platform()}")
    failed = []
    for script in sorted(folder.glob("bench_*.py")):
        print(f"\n## {script.stem.removeprefix('bench_')}\n", flush=True)
        done = subprocess.run([sys.executable, script, *sys.argv[1:]], cwd=folder.parent, check=False)
        if done.returncode:
            failed.append(script.name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
