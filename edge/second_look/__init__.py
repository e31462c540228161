"""Where a network contradicts itself over what a line has kept: mirrored, next to it, elsewhere."""

from edge.second_look.looking import Looked, look_again

__all__ = ["Looked", "look_again"]
