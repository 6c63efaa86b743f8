"""Texts that users bring, broken in all ways: one error of ours with a line that can be printed, or a result."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fuzz_targets import HOSTILE, TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LONG = 30  # seconds that no input may take: none should take one


@contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
    """Fail where the block holds the test up."""

    def stop(number: int, frame: object) -> None:
        raise AssertionError(f"still at it after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@st.composite
def broken(draw, seeds: list[bytes], words: tuple[bytes, ...]) -> bytes:
    """A seed with pieces put in, taken out, doubled or swapped for others."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.sampled_from((0, 0, 1, 2, 7, 30, 300))))
        new = draw(st.one_of(st.sampled_from((*words, *HOSTILE)), st.binary(max_size=4), st.just(data[start:stop] * 2)))
        data = data[:start] + new + data[stop:]
    return data


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_is_broken_is_told(target):
    """No input makes a reader raise anything but its own errors, or hold it up."""
    if target.name == "recipe":
        pytest.importorskip("torch", reason="training needs bgkit[train]")
    seeds = target.seeds()
    for seed in seeds:
        target.run(seed)

    @settings(max_examples=150, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(broken(seeds, target.words))
    def run(data: bytes) -> None:
        with no_longer_than(LONG):
            target.run(data)

    run()
