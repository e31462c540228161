"""From a checkpoint to the bundle that the box runs."""
