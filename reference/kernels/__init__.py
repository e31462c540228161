"""Blocks that train MINet on a CPU faster than torch's."""
