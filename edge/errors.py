"""What can go wrong on the box, and the exit code each kind ends the process with.

TracksideError                         1   failure while working
├── UsageError            (ValueError) 2   the command line asks for something impossible
├── ConfigurationError    (ValueError) 78  what must be changed before a start makes sense
│   ├── BundleError                    78  a bundle that is corrupt, altered or answers wrongly
│   ├── EngineUnavailable (ImportError) 78 an engine whose package is not installed
│   └── CameraUnavailable (ImportError) 78 a camera whose package is not installed
├── ArchiveError             (OSError) 1   a part of an archive that cannot be read
├── CameraError              (OSError) 1   a camera that cannot be opened or has gone
│   └── NoPicture                      1   none came in time
├── EngineError         (RuntimeError) 1   an engine that ran and now does not
├── FrameError            (ValueError) 1   an image that cannot be inspected
├── LineStopped         (RuntimeError) 1   inspection ended because nobody could look
├── StoreError               (OSError) 1   an event store that cannot be opened or read
├── DepotError                         1   a depot of releases that is unreachable or not trusted
├── StartAgain                         75  the line ended to be started again, by another line file
└── TrialFailed                        1   something that rejects did not do what it was told

Every message names the remedy.
"""

from __future__ import annotations


class TracksideError(Exception):
    """Parent of every error this product raises on purpose."""

    exit_code = 1


class UsageError(TracksideError, ValueError):
    """The command line asks for something impossible."""

    exit_code = 2


class ConfigurationError(TracksideError, ValueError):
    """A file or a setting must be changed before a start makes sense."""

    exit_code = 78


class BundleError(ConfigurationError):
    """A bundle that is corrupt, tampered with, or answers wrongly."""


class EngineUnavailable(ConfigurationError, ImportError):
    """An engine whose package or device is not on this machine."""


class CameraUnavailable(ConfigurationError, ImportError):
    """A camera whose package is not on this machine."""


class ArchiveError(TracksideError, OSError):
    """A part of an archive that is not there, or cannot be reached."""


class CameraError(TracksideError, OSError):
    """A camera that cannot be opened, or has gone."""


class EngineError(TracksideError, RuntimeError):
    """An engine that ran and now does not."""


class FrameError(TracksideError, ValueError):
    """An image that cannot be inspected."""


class LineStopped(TracksideError, RuntimeError):
    """The line was stopped on purpose, because what passed could not be inspected."""


class NoPicture(CameraError):
    """None came in time, of a camera that may be waiting for the rail to move."""


class StoreError(TracksideError, OSError):
    """A store that cannot be opened or read."""


class DepotError(TracksideError):
    """A depot of releases that cannot be reached, or says what nobody may believe."""


class StartAgain(TracksideError):
    """The line ended on purpose: it is to be started again, and takes another line file."""

    exit_code = 75


class TrialFailed(TracksideError):
    """Something did not do what it was told."""
