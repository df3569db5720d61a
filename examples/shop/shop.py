#!/usr/bin/env python3
"""A shop in two versions: `shop.py v1` and `shop.py v2`, each on a free port of the loopback address.

`shop.py v1:8081 v2:8082` runs both, on these ports; `v1:0.0.0.0:8081` takes requests of others too. It prints an address a line. It answers every path with one
line that says which version served it, and what Cutover had decided (the request header x-cutover-decision).
"""

import http.server
import signal
import sys
import threading


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


def serve(version, address):
    shop = type(version, (Shop,), {"version": version})
    ip, _, port = address.rpartition(":")
    ip = ip or "127.0.0.1"
    try:
        server = http.server.ThreadingHTTPServer((ip, int(port or 0)), shop)
    except (OSError, OverflowError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        sys.exit(f"shop.py: cannot listen on {ip}:{port}: {why}")
    server.daemon_threads = True
    print("%s:%d" % server.server_address, flush=True)
    return server


def main():
    shops = [argument.partition(":") for argument in sys.argv[1:]]
    if not shops or any(version not in ("v1", "v2") for version, _, _ in shops):
        sys.exit("usage: shop.py v1|v2[:[IP:]PORT]…")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    servers = [serve(version, address) for version, _, address in shops]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        servers[0].serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
