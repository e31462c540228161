"""What `benchmarks.reject_timing` measures, and its picture."""
