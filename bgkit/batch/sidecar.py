"""Beside a result, a JSON file of all that is needed to make it again, bit for bit: ``a.png.json`` for ``a.png``.

It holds what a line of the report holds (:mod:`bgkit.batch.report`), and the SHA-256 of the picture and of the result,
the pipeline as YAML with every value, the number of threads, and the versions of what computed. The networks that
ran, with their checksums and providers, are among the facts of their stages.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bgkit.batch.jobs import Outcome, Work
from bgkit.batch.report import as_record
from bgkit.threads import threads

__all__ = ["sidecar_of", "write_sidecar"]

PACKAGES = ("numpy", "scipy", "opencv-python-headless", "onnxruntime", "pillow")


def sidecar_of(output: Path) -> Path:
    """Return where the sidecar of a result stands."""
    return output.with_name(output.name + ".json")


def write_sidecar(outcome: Outcome, work: Work, digest: str) -> None:
    """Write the sidecar of a result that is done, whole or not at all; OSError goes through."""
    job = outcome.job
    target = sidecar_of(job.output)
    record = {
        **as_record(outcome, work, digest),
        "input_sha256": _sha256(job.picture) if isinstance(job.picture, Path) else None,
        "output_sha256": _sha256(job.output),
        "pipeline_yaml": work.pipeline.dump(),
        "threads": threads(),
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": platform.machine(),
    }
    part = target.with_name(f".bgkit-{os.getpid()}.part")
    try:
        part.write_text(json.dumps(record, indent=1, ensure_ascii=True) + "\n", encoding="ascii")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _versions() -> dict[str, Any]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
