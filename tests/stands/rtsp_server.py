"""An RTSP server of noise, which is never the same twice, or of pictures; for the system's Python.

`python3 rtsp_server.py PORT` prints a line when it serves, and serves until it is killed. With
`PICTURES WIDTH HEIGHT KBIT_S` it shows the raw grey pictures of a file, over and over; at SIGUSR1
it freezes, until the next one, and prints by the monotonic clock when.
"""

import os
import signal
import sys
import time
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PICTURES = (
    "appsrc name=pictures is-live=true do-timestamp=true format=time caps=video/x-raw,format=GRAY8,"
    "width={width},height={height},framerate={rate}/1 ! videoconvert ! "
    "video/x-raw,format=I420 ! x264enc tune=zerolatency {coding}"
)
PAY = "rtph264pay name=pay0 pt=96 config-interval=-1"
NOISE_WIDTH, NOISE_HEIGHT, NOISE_RATE = 64, 48, 50
RATE = 25


class Stream:
    """Shows what it is given, to whoever looks, so many times a second."""

    def __init__(self, rate):
        self.sources = []
        GLib.timeout_add(1000 // rate, self.show)

    def show(self):
        picture = Gst.Buffer.new_wrapped(self.next())
        for source in self.sources:
            if source.current_state == Gst.State.PLAYING:  # before, its pictures have no time
                source.emit("push-buffer", picture)
        return True


class Noise(Stream):
    """Also to whoever comes again, for whom a test source of GStreamer's begins anew."""

    def next(self):
        return os.urandom(NOISE_WIDTH * NOISE_HEIGHT)


class Pictures(Stream):
    """One after the other, unless it is frozen."""

    def __init__(self, path, size):
        super().__init__(RATE)
        raw = Path(path).read_bytes()
        self.all = [raw[start : start + size] for start in range(0, len(raw), size)]
        self.at = 0
        self.frozen = False
        self.told = True
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGUSR1, self.change)

    def change(self):
        self.frozen, self.told = not self.frozen, False
        return True

    def next(self):
        self.at = (self.at + (not self.frozen)) % len(self.all)
        if not self.told:
            self.told = True
            print(time.monotonic_ns(), flush=True)
        return self.all[self.at]


Gst.init(None)
server = GstRtspServer.RTSPServer(service=sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
if sys.argv[2:]:
    path, width, height, kbit_s = sys.argv[2:]
    stream, rate = Pictures(path, int(width) * int(height)), RATE
    coding = f"speed-preset=superfast key-int-max=25 bitrate={kbit_s}"
else:
    width, height, rate = NOISE_WIDTH, NOISE_HEIGHT, NOISE_RATE
    stream, coding = Noise(rate), "speed-preset=ultrafast key-int-max=10"
factory.connect(
    "media-configure",
    lambda _, media: stream.sources.append(media.get_element().get_by_name("pictures")),
)
coded = PICTURES.format(width=width, height=height, rate=rate, coding=coding)
factory.set_launch(f"( {coded} ! {PAY} )")
factory.set_shared(True)
server.get_mount_points().add_factory("/rail", factory)
server.attach(None)
print("serving", flush=True)
GLib.MainLoop().run()
