"""Packing: the results of a batch in one zip file, written whole or not at all."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from bgkit.batch.jobs import Job, shown
from bgkit.batch.places import Place, Url, common_parent, identity, inner_path
from bgkit.errors import PlanError
from bgkit.files import replacing

__all__ = ["check_target", "pack"]


def check_target(target: Path, jobs: Iterable[Job]) -> None:
    """See, before the first pixel, that a zip file can be written at ``target``.

    Raises
    ------
    PlanError
        If its name does not end in .zip, its folder is absent, or it is a folder or an input.
    """
    if target.suffix.lower() != ".zip":
        raise PlanError(f"--zip {shown(target)}: expected a name that ends in .zip")
    if target.is_dir():
        raise PlanError(f"--zip {shown(target)}: is a folder; expected the name of a file")
    if not target.parent.is_dir():
        raise PlanError(f"--zip {shown(target)}: there is no folder {shown(target.parent)}")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise PlanError(f"--zip {shown(target)}: no permission to write in {shown(target.parent)}")
    jobs = list(jobs)
    if any(isinstance(job.output, Url) for job in jobs):
        raise PlanError(
            f"--zip {shown(target)}: takes results from a local folder; those of a URL are not fetched back"
        )
    place = identity(target)
    if any(place == identity(path) for job in jobs for path in job.sources()):
        raise PlanError(f"--zip {shown(target)}: is an input; choose another name")


def pack(target: Path, outputs: Sequence[Place], folder: Place | None = None) -> None:
    """Put files into a zip file at ``target``, named as they stand below ``folder`` or their common parent.

    Pictures are compressed already (deflating PNG files gains under 1 % and takes longer than writing
    them), so they are stored as they are. OSError is not caught.
    """
    top = folder or common_parent([output.parent for output in outputs])
    with (
        replacing(target) as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive,
    ):
        for output in outputs:
            name = inner_path(output, top).as_posix()
            archive.write(str(output), name.encode("utf-8", "backslashreplace").decode("utf-8"))
