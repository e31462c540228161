"""A run: it begins, takes its steps, stops, and goes on exactly where it stood."""
