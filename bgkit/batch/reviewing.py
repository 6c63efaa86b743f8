"""The folder of results that somebody should look at: copies, so that the results themselves stay complete."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bgkit.batch.jobs import Outcome

__all__ = ["Review"]


class Review:
    """Takes in outcomes; copies each flagged result to ``path``, the tree below ``folder`` kept.

    A picture that is done again and passes leaves the folder.
    """

    def __init__(self, path: Path, folder: Path | None = None) -> None:
        self.path, self.folder = path, folder

    def add(self, outcome: Outcome) -> None:
        """Copy or take away; what the operating system has against it (OSError) goes through."""
        if outcome.status != "done":
            return
        output = outcome.job.output
        copy = self.path / (os.path.relpath(output, self.folder) if self.folder else output.name)
        if not outcome.flags:
            copy.unlink(missing_ok=True)
            return
        copy.parent.mkdir(parents=True, exist_ok=True)
        part = copy.with_name(f".bgkit-{os.getpid()}.part")
        try:
            shutil.copyfile(output, part)
            part.replace(copy)
        finally:
            part.unlink(missing_ok=True)
