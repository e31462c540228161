"""A fleet on one machine: boxes that are processes, a depot, a broker, and what kills them."""
