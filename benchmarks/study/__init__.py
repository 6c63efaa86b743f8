"""The study of classical, deep and joined chains: ``python -m benchmarks.study`` writes ``docs/study.md``."""
