"""What computed a result: the versions of the libraries, and the machine."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

from bgkit import __version__

__all__ = ["machine", "versions"]

LIBRARIES = (
    "numpy",
    "scipy",
    "opencv-python-headless",
    "scikit-image",
    "pymatting",
    "onnxruntime",
    "pillow",
    "simplejpeg",
)


@cache
def versions() -> dict[str, str]:
    """Return the versions of bgkit, of Python, and of the libraries that pixels pass through."""
    from importlib.metadata import PackageNotFoundError, version  # takes 10 ms to import

    known = {"bgkit": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            known[name] = version(name)
        except PackageNotFoundError:  # another wheel may bring the same module
            continue
    return known


def machine() -> dict[str, Any]:
    """Return processor, cores and system."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return {"processor": name, "cores": os.cpu_count(), "system": platform.platform()}
