"""The folder of results that somebody should look at: copies, so that the results themselves stay complete."""

from __future__ import annotations

import os
from pathlib import Path

from bgkit.batch.jobs import Outcome
from bgkit.batch.places import Place, Url, inner_path, read_bytes, write_bytes

__all__ = ["Review"]


class Review:
    """Takes in outcomes; copies each flagged result to ``path``, the tree below ``folder`` kept.

    A picture that is done again and passes leaves the folder.
    """

    def __init__(self, path: Path, folder: Place | None = None) -> None:
        self.path, self.folder = path, folder

    def add(self, outcome: Outcome) -> None:
        """Copy the result, or delete an older copy; OSError is not caught."""
        if outcome.status != "done":
            return
        output = outcome.job.output
        copy = self.path / self._inner(output)
        if not outcome.flags:
            copy.unlink(missing_ok=True)
            return
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(copy, read_bytes(output))

    def _inner(self, output: Place) -> str:
        if self.folder is None:
            return output.name
        if isinstance(output, Url):
            return inner_path(output, self.folder).as_posix()
        return os.path.relpath(output, str(self.folder))
