#!/usr/bin/env python3
"""Requests all the time, for a while: `load.py http://127.0.0.1:10000/ --seconds 60`.

Prints one line a second: how many answers came from each version of the shop, and how many requests failed. A
request fails when there is no answer in 5 seconds, when its status is not 200, or when no version of the shop can be
told from it. Ends with 1 when one failed, with 0 when none did. Ctrl-C and SIGTERM end it earlier, in order.
"""

import argparse
import http.client
import signal
import sys
import threading
import time
import urllib.parse

COLORS = {b"shop v1 ": "blue", b"shop v2 ": "green"}


class Counts:
    """What the connections have seen, together."""

    def __init__(self):
        self.lock = threading.Lock()
        self.answers = dict.fromkeys(COLORS.values(), 0)
        self.failed = 0
        self.changes = 0

    def answered(self, color, changed):
        with self.lock:
            self.answers[color] += 1
            self.changes += changed

    def failure(self, why):
        with self.lock:
            self.failed += 1
            if self.failed <= 10:
                print(f"failed: {why}", flush=True)

    def so_far(self):
        with self.lock:
            return *self.answers.values(), self.failed


def one_connection(url, pause, stop, counts):
    """Sends one request after another on one connection; a new one only after a failure."""
    connection, last = http.client.HTTPConnection(url.netloc, timeout=5), None
    while not stop.wait(pause):
        try:
            connection.request("GET", url.path or "/")
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            counts.failure(f"{type(error).__name__}: {error}")
            connection.close()
            continue
        color = next((color for start, color in COLORS.items() if body.startswith(start)), None)
        if answer.status != 200 or color is None:
            counts.failure(f"status {answer.status}: {body[:80]!r}")
        else:
            counts.answered(color, last not in (None, color))
            last = color


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=int, default=200, help="requests a second, at most; default 200")
    parser.add_argument("--connections", type=int, default=4)
    arguments = parser.parse_args()
    stop, counts = threading.Event(), Counts()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())

    pause = arguments.connections / arguments.rate
    of_each = (urllib.parse.urlsplit(arguments.url), pause, stop, counts)
    threads = [threading.Thread(target=one_connection, args=of_each) for _ in range(arguments.connections)]
    for thread in threads:
        thread.start()
    start, before = time.monotonic(), (0, 0, 0)
    for second in range(1, arguments.seconds + 1):
        if stop.wait(start + second - time.monotonic()):
            break
        now = counts.so_far()
        blue, green, failed = (a - b for a, b in zip(now, before))
        print(f"{second:4} s  blue {blue:4}  green {green:4}  failed {failed}", flush=True)
        before = now
    stop.set()
    for thread in threads:
        thread.join()
    blue, green, failed = counts.so_far()
    print(f"in all: blue {blue}, green {green}, failed {failed}; "
          f"changes of color on {arguments.connections} connections: {counts.changes}", flush=True)
    sys.exit(1 if failed or not blue + green else 0)


if __name__ == "__main__":
    main()
