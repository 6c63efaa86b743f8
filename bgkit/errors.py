"""What can go wrong, as exceptions. Every message says the place, what was expected, what was given.

An error is raised where the fault is found and gets its place (file, line, stage) from whoever
knows it, by :meth:`BgkitError.at`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Self

__all__ = [
    "BgkitError",
    "ConvergenceWarning",
    "EngineError",
    "ImageError",
    "LayerError",
    "MissingPartError",
    "ModelError",
    "ParamError",
    "PipelineError",
    "PlanError",
    "RecipeError",
    "did_you_mean",
]


class BgkitError(Exception):
    """Base of every error that bgkit raises on purpose."""

    def at(self, place: str) -> Self:
        """Put a place in front of the message and return the error itself, to be raised."""
        self.args = (f"{place}: {self}",)
        return self


class ParamError(BgkitError, ValueError):
    """A parameter has a wrong name, type or value."""


class LayerError(BgkitError, ValueError):
    """An array has a wrong shape, dtype or range, or a layer that is needed is absent."""


class PipelineError(BgkitError, ValueError):
    """A pipeline cannot be read, or its stages do not fit together."""


class PlanError(BgkitError, ValueError):
    """A batch cannot start: an input is missing, or there is no place for its output."""


class EngineError(BgkitError):
    """What runs a batch broke down on the way; what is done stays done."""


class RecipeError(BgkitError, ValueError):
    """A training recipe cannot be read, or does not fit its pictures or the run it is to go on with."""


class ImageError(BgkitError):
    """A picture file cannot be read or written, or is too large."""


class ModelError(BgkitError):
    """A network is absent, is not what its card says, or failed while running."""


class MissingPartError(BgkitError, ImportError):
    """An optional part of bgkit is not installed; the message says how to install it."""

    @classmethod
    def of(cls, extra: str, purpose: str) -> Self:
        return cls(f'{purpose} needs an optional part: pip install "bgkit[{extra}]"')


class ConvergenceWarning(UserWarning):
    """A solver stopped at its limit before it reached its tolerance."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known word nearest to ``word``, or ``""``.

    >>> did_you_mean("dense_cfr", ["dense_crf", "opening"])
    "; did you mean 'dense_crf'?"
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
