"""A line left alone with everything that goes wrong around it, and held against the truth."""
