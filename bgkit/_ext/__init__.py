"""The compiled kernels. Arrays come in checked and allocated; a kernel returns nothing and cannot fail.

``BGKIT_ISA`` forces one of the variants that a kernel was compiled to: ``v1`` (any x86-64), ``v3`` (AVX2), ``v4``
(AVX-512). Every module reads it when it is loaded; a wrong name is refused here, before the first of them. All
variants give the same bits.
"""

import os

from bgkit._ext.isa import CHOSEN, WIDEST
from bgkit.errors import ParamError

__all__ = ["LEVELS", "VARIANT"]

# Levels of x86-64 that this processor has a variant for, the best last; none where there is one variant for all.
LEVELS = [f"v{level}" for level in (1, 3, 4) if level <= WIDEST]
VARIANT = f"v{CHOSEN}" if CHOSEN else ""  # the one that runs

_wish = os.environ.get("BGKIT_ISA", "")
if _wish and _wish not in LEVELS:
    _expected = f"one of {', '.join(LEVELS)}" if LEVELS else "nothing, for these kernels have one variant"
    raise ParamError(f"BGKIT_ISA: expected {_expected} on this machine, got {_wish!r}; leave it unset for the best")
