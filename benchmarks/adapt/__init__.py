"""From what people said of a line's events to a bundle that is better, or the reason why not."""
