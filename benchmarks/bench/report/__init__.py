"""A run of the benchmark for people: in the terminal, as a page, as Markdown."""
