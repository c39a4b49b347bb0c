"""An application that knows nothing of Steadfast: it says who it is, and is healthy while a file does not say otherwise.

usage: app.py NAME PORT DIR

  any  /healthz    200, or 503 while DIR/NAME.sick exists
  any  /slow?MS    the usual answer after so many milliseconds; makes DIR/slow when it begins
  any  /           {"instance", "pid", "method", "path", "body_bytes"}

It writes its process id to DIR/NAME.pid, and ends at once on SIGTERM.
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME, PORT, DIR = sys.argv[1], int(sys.argv[2]), sys.argv[3]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self):
        length = int(self.headers.get("content-length", 0))
        received = len(self.rfile.read(length)) if length else 0
        path, _, query = self.path.partition("?")
        status = 200
        if path == "/healthz" and os.path.exists(os.path.join(DIR, NAME + ".sick")):
            status = 503
        if path == "/slow":
            open(os.path.join(DIR, "slow"), "w").close()
            time.sleep(int(query) / 1000)
        about = {"instance": NAME, "pid": os.getpid(), "method": self.command, "path": self.path, "body_bytes": received}
        body = json.dumps(about).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        """Clients hang up, which is no news: a failed test shows what Steadfast said."""


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
server = Server(("127.0.0.1", PORT), Handler)
with open(os.path.join(DIR, NAME + ".pid"), "w") as file:
    file.write(str(os.getpid()))
server.serve_forever()
