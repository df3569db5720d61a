#!/usr/bin/env python3
"""A shop in two versions: `shop.py v1` and `shop.py v2`, each on a free port of the loopback address.

The first line that it prints is its address. It answers every path with one line that says which version
served it, and what Cutover had decided (the request header x-cutover-decision).
"""

import http.server
import signal
import sys


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write for headers and body: two would wait for each other (Nagle)
    version = "v1"

    def do_GET(self):
        decision = self.headers.get("x-cutover-decision", "none")
        body = f"shop {self.version} (decision: {decision})\n".encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    if sys.argv[1:] not in (["v1"], ["v2"]):
        sys.exit("usage: shop.py v1|v2")
    Shop.version = sys.argv[1]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    server.daemon_threads = True
    print("%s:%d" % server.server_address, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()


if __name__ == "__main__":
    main()
