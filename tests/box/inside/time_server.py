#!/usr/bin/python3
"""Inside the box: a time server of the plant's (SNTP), which has the box's own time.

So whoever steps the clock steps the server's with it, and the time stays stepped.
"""

import socket
import struct
import time

SINCE_1900_S = 2_208_988_800
FORM = "!BBbb11I"
SERVER_3 = 0b00_011_100  # no leap second, version 3, a server
STRATUM, POLL, PRECISION = 2, 6, -20


def stamp() -> tuple[int, int]:
    """The time of day in seconds and their fractions."""
    now = time.time() + SINCE_1900_S
    return int(now), int(now % 1 * 2**32)


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", 123))
    while True:
        asked, client = server.recvfrom(1024)
        came = stamp()
        asked_at = struct.unpack("!II", asked[40:48])
        answer = (SERVER_3, STRATUM, POLL, PRECISION, 0, 0, 0x7F000001)
        server.sendto(struct.pack(FORM, *answer, *came, *asked_at, *came, *stamp()), client)
