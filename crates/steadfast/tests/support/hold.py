"""Opens so many connections, sends the same request on each, and holds them all open without reading on, until it ends.

usage: hold.py PORT COUNT FILE      FILE has the bytes of the request

Once all are answered it prints how: {"200": 3, "503 too-many-streams": 7}
"""

import collections
import json
import resource
import signal
import socket
import sys

PORT, COUNT = int(sys.argv[1]), int(sys.argv[2])
with open(sys.argv[3], "rb") as file:
    REQUEST = file.read()
# How long one answer may take.
WITHIN_S = 60


def until(peer, text, is_there):
    while not is_there(text):
        more = peer.recv(65536)
        if not more:
            raise ConnectionError("closed before an answer")
        text += more
    return text


def answer(peer):
    text = until(peer, b"", lambda text: b"\r\n\r\n" in text)
    head, _, body = text.partition(b"\r\n\r\n")
    status = head[9:12].decode()
    if status == "200":
        return status
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    body = until(peer, body, lambda body: len(body) >= int(fields[b"content-length"]))
    return f"{status} {json.loads(body)['reason']}"


_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
held = []
told = collections.Counter()
for _ in range(COUNT):
    try:
        held.append(socket.create_connection(("127.0.0.1", PORT), timeout=WITHIN_S))
        held[-1].sendall(REQUEST)
        told[answer(held[-1])] += 1
    except OSError as error:
        told[f"{type(error).__name__}: {error}"] += 1
print(json.dumps(told), flush=True)
signal.pause()
