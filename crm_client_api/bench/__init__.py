"""Benchmarks of the office side, and the data that they run on."""
