"""Measuring results: metrics, data sets with truth, predictions of any tool against truth."""

from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.metrics import METRICS, Score, score, summarize
from bgkit.evaluate.samples import Dataset, Sample
from bgkit.evaluate.scoring import evaluate
from bgkit.evaluate.table import Problem, Row, Table

__all__ = [
    "METRICS",
    "Dataset",
    "Problem",
    "Row",
    "Sample",
    "Score",
    "Table",
    "evaluate",
    "open_dataset",
    "score",
    "summarize",
]
