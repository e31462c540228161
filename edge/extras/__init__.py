"""What each extra brings, and how to say that it is missing."""

from edge.extras.extras import EXTRA_OF_MODULE, NotInstalled, install, not_installed, require

__all__ = ["EXTRA_OF_MODULE", "NotInstalled", "install", "not_installed", "require"]
