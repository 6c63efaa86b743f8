"""Variants of the kernels, forced by BGKIT_ISA: each gives the same bits; a wrong name is one error."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bgkit import _ext

WORK = """
import hashlib
import numpy as np
from skimage.data import astronaut
from bgkit import _ext, set_threads, stages
from bgkit._ext.pointwise import to_bytes
from bgkit.color import dot, luv_of_picture
from bgkit.resizing import apply_functions

set_threads(1)
image = np.float32(astronaut()[:150:2, 150:310:2] / 255)
rng = np.random.default_rng(0)
mask = np.float32(rng.random(image.shape[:2]))
row, col = np.indices(mask.shape)
far = np.hypot(row - 37, col - 40)
trimap = np.where(far < 15, 255, np.where(far > 30, 0, 128)).astype(np.uint8)
hard = np.float32(far < 20)
rounded = np.empty(mask.shape, np.uint8)
assert not to_bytes(mask * np.float32(1.5) - np.float32(0.2), rounded)
results = {
    "key": stages.luv_threshold(image),
    "screen": stages.chroma_key(image),
    "crf": stages.dense_crf(image=image, mask=hard * np.float32(0.8)),
    "disk": stages.opening(mask, radius=20),
    "hard disk": stages.closing(hard, radius=20),
    "solve": stages.closed_form_matting(image, trimap),
    "samples": stages.plate_matting(image, trimap),
    "foreground": stages.estimate_foreground(image=image, alpha=mask),
    "light": stages.flat_field(image),
    "balance": stages.white_balance(image),
    "levels": stages.levels(alpha=mask),
    "over": stages.composite(image=image, alpha=mask, background="white"),
    "trimap": stages.make_trimap(mask=np.clip((far - 10) / 20, 0, 1).astype(np.float32)),
    "dot": dot(image, image[::-1].copy()),
    "luv": luv_of_picture(image),
    "bytes": rounded,
    "affine": apply_functions(image, np.float32(rng.random((9, 7, 4)) - 0.3)),
}
print(_ext.VARIANT)
for name, array in results.items():
    print(name, hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16])
"""


def python(code: str, level: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "BGKIT_ISA": level}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(len(_ext.LEVELS) < 2, reason="the kernels have one variant on this machine")
def test_variants_give_the_same_bits():
    """Every variant that this processor runs gives the same result, and is the one that was asked for."""
    found = {}
    for level in _ext.LEVELS:
        done = python(WORK, level)
        assert done.returncode == 0, done.stderr
        variant, *found[level] = done.stdout.splitlines()
        assert variant == level
    first, *others = found.values()
    for other in others:
        assert other == first


@pytest.mark.parametrize("level", ["v2", "avx2", "3", "v33"])
def test_a_wrong_name_is_one_error(level):
    """It names the variable, what was given and what is possible here."""
    done = python("import bgkit._ext.key", level)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("bgkit.errors.ParamError: BGKIT_ISA: expected ")
    assert repr(level) in last
    for possible in _ext.LEVELS:
        assert possible in last


def test_an_empty_name_is_none():
    """``BGKIT_ISA=`` leaves the choice to the processor."""
    done = python("from bgkit import _ext; print(_ext.VARIANT, _ext.LEVELS[-1:])", "")
    assert done.stdout.strip() == f"{_ext.LEVELS[-1] if _ext.LEVELS else ''} {_ext.LEVELS[-1:]}"
