"""An RTSP server of noise, which is never the same twice, or of pictures; for the system's Python.

`python3 rtsp_server.py PORT` prints a line when it serves, and serves until it is killed. With
`PICTURES WIDTH HEIGHT KBIT_S` it shows the raw grey pictures of a file, over and over; at SIGUSR1
it freezes, until the next one, and prints by the monotonic clock when.
"""

import signal
import sys
import time
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

NOISE = (
    "videotestsrc is-live=true pattern=snow ! video/x-raw,format=I420,width=64,height=48,"
    "framerate=50/1 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10"
)
PICTURES = (
    "appsrc name=pictures is-live=true do-timestamp=true format=time caps=video/x-raw,format=GRAY8,"
    "width={width},height={height},framerate=25/1 ! videoconvert ! video/x-raw,format=I420 ! "
    "x264enc tune=zerolatency speed-preset=superfast key-int-max=25 bitrate={kbit_s}"
)
PAY = "rtph264pay name=pay0 pt=96 config-interval=-1"
EVERY_MS = 40


class Pictures:
    """Shows one after the other, to whoever looks, unless it is frozen."""

    def __init__(self, path, size):
        raw = Path(path).read_bytes()
        self.all = [raw[start : start + size] for start in range(0, len(raw), size)]
        self.at = 0
        self.frozen = False
        self.told = True
        self.sources = []
        GLib.timeout_add(EVERY_MS, self.show)
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGUSR1, self.change)

    def change(self):
        self.frozen, self.told = not self.frozen, False
        return True

    def show(self):
        self.at = (self.at + (not self.frozen)) % len(self.all)
        if not self.told:
            self.told = True
            print(time.monotonic_ns(), flush=True)
        picture = Gst.Buffer.new_wrapped(self.all[self.at])
        for source in self.sources:  # those that nobody looks at any more take none
            source.emit("push-buffer", picture)
        return True


Gst.init(None)
server = GstRtspServer.RTSPServer(service=sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
if sys.argv[2:]:
    path, width, height, kbit_s = sys.argv[2:]
    pictures = Pictures(path, int(width) * int(height))
    factory.connect(
        "media-configure",
        lambda _, media: pictures.sources.append(media.get_element().get_by_name("pictures")),
    )
    coded = PICTURES.format(width=width, height=height, kbit_s=kbit_s)
else:
    coded = NOISE
factory.set_launch(f"( {coded} ! {PAY} )")
factory.set_shared(True)
server.get_mount_points().add_factory("/rail", factory)
server.attach(None)
print("serving", flush=True)
GLib.MainLoop().run()
