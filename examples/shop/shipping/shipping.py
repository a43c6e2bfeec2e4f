"""Sends parcels: the shop's service in another language, with nothing but the standard library.

POST /shipments {"order": "...", "address": "..."}  ->  201 {"tracking": "...", "days": 3}
GET  /healthz                                       ->  200
"""

import json
import os
import signal
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY_BYTES_MAX = 64 * 1024


def log(level, msg, **fields):
    line = {"ts": int(time.time() * 1000), "level": level, "msg": msg, **fields}
    # One write per line, so that threads do not tear each other's.
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def ship(order, address):
    """The parcel of an order; the same one however often it is asked for."""
    digest = zlib.crc32(f"{order}\n{address}".encode())
    return {"tracking": f"SY{digest:08X}", "days": 1 + digest % 5}


class InFlight:
    """Counts the requests under way, so that the end can wait for them."""

    def __init__(self):
        self.count = 0
        self.changed = threading.Condition()

    def __enter__(self):
        with self.changed:
            self.count += 1

    def __exit__(self, *_):
        with self.changed:
            self.count -= 1
            self.changed.notify_all()

    def wait_for_none(self):
        with self.changed:
            self.changed.wait_for(lambda: self.count == 0)


in_flight = InFlight()
draining = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open
    timeout = 60  # ... but not for ever
    wbufsize = -1  # head and body leave in one packet

    def do_GET(self):
        if self.path == "/healthz":
            return self.answer(200, {"status": "ok"})
        self.answer(404, {"error": f"there is no {self.path} here"})

    def do_POST(self):
        with in_flight:
            self.post()
            self.wfile.flush()

    def post(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            # The body was not read, so the connection cannot be used again.
            self.close_connection = True
            return self.answer(413, {"error": "send a body of known, modest length"})
        body = self.rfile.read(int(length))
        if self.path != "/shipments":
            return self.answer(404, {"error": f"there is no {self.path} here"})
        try:
            wanted = json.loads(body)
            order, address = str(wanted["order"]), str(wanted["address"]).strip()
        except (KeyError, TypeError, ValueError):
            return self.answer(400, {"error": "a shipment needs an order and an address"})
        if not address:
            return self.answer(422, {"error": "there is no address to ship to"})
        parcel = ship(order, address)
        log("info", "shipped", order=order, tracking=parcel["tracking"])
        self.answer(201, parcel)

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if draining.is_set():
            self.close_connection = True
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass  # `shipped` says what matters, and probes would fill the log


class Server(ThreadingHTTPServer):
    request_queue_size = 128


def main():
    port = int(os.environ["PORT"])
    server = Server(("127.0.0.1", port), Handler)

    def stop(*_):
        draining.set()
        # shutdown() waits for serve_forever(), which this handler interrupts: hence a thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log("info", "listening", address=f"127.0.0.1:{port}")
    server.serve_forever(poll_interval=0.1)
    server.socket.close()  # from here on, connecting is refused
    in_flight.wait_for_none()
    log("info", "stopped")


if __name__ == "__main__":
    main()
