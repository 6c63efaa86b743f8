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
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def kernels() -> str:
    """Which variant of the kernels the loader chooses here (``ext/multiversion.h``): by the processor's flags."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().partition("\nflags")[2].partition("\n")[0].split()) if info.exists() else set()
    levels = {"AVX-512 (x86-64-v4)": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
              "AVX2 (x86-64-v3)": {"avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}}  # fmt: skip
    return next((name for name, needed in levels.items() if needed <= flags), "one for any processor")


def main() -> int:
    folder = Path(__file__).parent
    print(
        f"{processor() if Path('/proc/cpuinfo').exists() else platform.processor()}, {os.cpu_count()} cores, ", end=""
    )
    print(f"kernels: {kernels()}, {platform.platform()}, Python {platform.python_version()}")
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
