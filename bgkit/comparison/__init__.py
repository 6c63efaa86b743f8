"""Comparing pipelines on one's own pictures: their runs, what is measured of them, ranking, and the report."""

from bgkit.comparison.comparing import compare

__all__ = ["compare"]
