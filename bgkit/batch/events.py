"""What there is to hear of a batch while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bgkit.batch.jobs import Outcome

__all__ = ["Events"]


class Events:
    """Listens to a batch. Each method does nothing; a subclass says what it wants to hear.

    All are called in the process and thread that started the batch.
    """

    def begin(self, count: int, steps: Sequence[str]) -> None:
        """Everything is checked: ``count`` pictures follow; ``steps`` names what happens to each."""

    def note(self, text: str) -> None:
        """Hear news that is no error: what was left out, that workers are gone."""

    def step(self, name: str) -> None:
        """Hear that a step of the picture at work is done; only engines that do one picture at a time report steps."""

    def add(self, outcome: Outcome) -> None:
        """Hear what became of a picture."""

    def fail(self, text: str) -> None:
        """Hear what went wrong beside the pictures: a report or a zip file that cannot be written."""
