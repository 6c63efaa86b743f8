"""Classical, deep and joined chains compared: ``python -m benchmarks.study`` writes ``docs/explanation/study.md``."""
