"""An RTSP camera for tests, run by the system's Python, which has GStreamer's bindings.

    /usr/bin/python3 rtsp_server.py WIDTH HEIGHT FPS [USER PASSWORD]

Prints its port once it listens at rtsp://127.0.0.1:PORT/camera, then obeys lines on standard
input: drop (hang up on everybody), stall (send nothing more), go (send again), and ends with it.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
width, height, fps, *credentials = sys.argv[1:]
server = GstRtspServer.RTSPServer(address="127.0.0.1", service="0")
factory = GstRtspServer.RTSPMediaFactory(shared=True)
factory.set_launch(
    f"( videotestsrc is-live=true pattern=ball ! "
    f"video/x-raw,width={width},height={height},framerate={fps}/1 ! valve name=valve ! "
    f"x264enc tune=zerolatency speed-preset=ultrafast key-int-max={fps} ! "
    "rtph264pay name=pay0 pt=96 config-interval=-1 )"
)
valves = []
factory.connect(
    "media-configure",
    lambda _, media: valves.append(media.get_element().get_by_name("valve")),
)
if credentials:
    user, password = credentials
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for right in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("user", right, True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/camera", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)


def obey(channel, condition):
    word = sys.stdin.readline().strip()
    if not word:
        loop.quit()
    elif word == "drop":
        server.client_filter(lambda _, client: GstRtspServer.RTSPFilterResult.REMOVE)
    elif word in ("stall", "go"):
        valves[-1].set_property("drop", word == "stall")
    print(word, flush=True)
    return True


loop = GLib.MainLoop()
GLib.io_add_watch(GLib.IOChannel.unix_new(0), 0, GLib.IOCondition.IN | GLib.IOCondition.HUP, obey)
loop.run()
