"""Everything that runs on the box but the pins."""
