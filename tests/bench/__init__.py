"""Benchmarks against the other clients: `make bench`. Commands, never tests."""
