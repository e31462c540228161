"""An RTSP server of noise, which is never the same twice; for the system's Python.

`python3 rtsp_server.py PORT` prints a line when it serves, and serves until it is killed.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PIPELINE = (
    "videotestsrc is-live=true pattern=snow ! video/x-raw,format=I420,width=64,height=48,"
    "framerate=50/1 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! "
    "rtph264pay name=pay0 pt=96 config-interval=-1"
)

Gst.init(None)
server = GstRtspServer.RTSPServer(service=sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(f"( {PIPELINE} )")
factory.set_shared(True)
server.get_mount_points().add_factory("/rail", factory)
server.attach(None)
print("serving", flush=True)
GLib.MainLoop().run()
