"""Made-up inputs that several benchmarks share."""
