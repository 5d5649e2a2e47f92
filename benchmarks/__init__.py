"""The bench: Relance and its rivals on the same topic, in one run, interleaved. How and what: docs/benchmarks.md."""
