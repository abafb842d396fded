"""Measurements, each started with `python -m benchmarks.<name>`."""
