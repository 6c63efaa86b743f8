"""What can go wrong, as exceptions. Every message says the place, what was expected, what was given.

An error is raised where the fault is found and gets its place (file, line, stage) from whoever
knows it, by :meth:`BgkitError.at`. A message is one line of printable characters, whatever a file's author put into
the words that it repeats.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable
from typing import Self

__all__ = [
    "CONTROLS",
    "BgkitError",
    "ConvergenceWarning",
    "DeadlineError",
    "EngineError",
    "ImageError",
    "LayerError",
    "MissingModelError",
    "MissingPartError",
    "ModelError",
    "ParamError",
    "PipelineError",
    "PlanError",
    "RecipeError",
    "VideoError",
    "brief",
    "cut",
    "did_you_mean",
    "printable",
    "scrub",
]

# No text: control characters but tab and line end, and halves of characters (surrogates).
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
LONGEST_WORD = 100  # that is compared with the words there are
LONGEST = 2000  # characters of a message; a list of all stages takes 700


class BgkitError(Exception):
    """Base of every error that bgkit raises on purpose."""

    def __str__(self) -> str:
        return cut(printable(" ".join(map(str, self.args))), LONGEST)

    def at(self, place: str) -> Self:
        """Put a place before the message, unless it begins with it, and return the error itself, to be raised."""
        if not str(self).startswith((f"{place}:", f"{place}.")):
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
    """A training recipe cannot be read, or does not fit its pictures or the run that it is to resume."""


class ImageError(BgkitError):
    """A picture file cannot be read or written, or is too large."""


class VideoError(ImageError):
    """A film cannot be read or written."""


class ModelError(BgkitError):
    """A network is absent, is not what its card says, or failed while running."""


class MissingModelError(ModelError):
    """A network is unknown, not here yet, or not to be used before its terms are accepted."""


class DeadlineError(BgkitError, TimeoutError):
    """A picture took longer than it may (:mod:`bgkit.deadline`)."""


class MissingPartError(BgkitError, ImportError):
    """An optional part of bgkit is not installed; the message says how to install it."""

    @classmethod
    def of(cls, extra: str, purpose: str) -> Self:
        return cls(f'{purpose} needs an optional part: pip install "bgkit[{extra}]"')


class ConvergenceWarning(UserWarning):
    """A solver stopped at its limit before it reached its tolerance."""


def printable(text: str) -> str:
    r"""Return a text on one line, in characters that can be printed: what would steer a terminal is written out.

    >>> print(printable("two\nlines, \x1b[31mred"))
    two\nlines, \x1b[31mred
    """
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def cut(text: str, most: int = 80) -> str:
    """Return a text of at most ``most`` characters, its middle left out where it is longer.

    >>> cut("a very long name", 11)
    'a ve...name'
    """
    if len(text) <= most:
        return text
    half = (most - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


class _Brief(reprlib.Repr):
    """``repr`` of values of any size and depth, in a few words."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, 80, 80

    def repr_int(self, x: int, level: int) -> str:
        if abs(x) < 10**40:
            return repr(x)
        least = int((x.bit_length() - 1) * 0.30102999) + 1  # text of so many digits is refused by Python itself
        return f"a number of {least + (abs(x) >= 10**least)} digits"


_brief = _Brief()


def brief(value: object) -> str:
    """Return ``repr(value)`` cut to what a message has room for.

    >>> brief(list(range(1000))), brief(10**5000 - 1)
    ('[0, 1, 2, 3, 4, 5, ...]', 'a number of 5000 digits')
    """
    return cut(_brief.repr(value), 200)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known word nearest to ``word``, or ``""``.

    >>> did_you_mean("dense_cfr", ["dense_crf", "opening"])
    "; did you mean 'dense_crf'?"
    """
    near = difflib.get_close_matches(word, list(known), n=1) if len(word) <= LONGEST_WORD else []
    return f"; did you mean '{near[0]}'?" if near else ""


PATHS = re.compile(r"(?<![\w:/.])/(?:[^\s/:'\"]+/)+([^\s/:'\"]*)")  # an absolute path


def scrub(text: str) -> str:
    """Return a message without folders: of a path its last part stays.

    >>> scrub("the network 'x' is damaged: /home/ada/models/x.onnx: 12 bytes")
    "the network 'x' is damaged: x.onnx: 12 bytes"
    """
    return PATHS.sub(r"\1", text)
