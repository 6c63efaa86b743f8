"""The study of classical, deep and joined chains; see ``docs/study.md``, which ``python -m benchmarks.study`` writes."""
