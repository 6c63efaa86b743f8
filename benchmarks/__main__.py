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


def main() -> int:
    folder = Path(__file__).parent
    print(
        f"{processor() if Path('/proc/cpuinfo').exists() else platform.processor()}, {os.cpu_count()} cores, ", end=""
    )
    print(f"{platform.platform()}, Python {platform.python_version()}")
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
