#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The program that is patched in the demo: an upload service.  It is given files
in two parts and answers with checksums, all of them made by Debian's libz.

  POST /checksum                     body: the file
  GET /combine?crc1=H&crc2=H&len2=N  the checksums of two parts are known
                                     already: the checksum of both together

It knows nothing of live patching: Python's standard library only.
"""

import ctypes
import sys
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

# Python's zlib module has no crc32_combine64(): call the same libz for it.
libz = ctypes.CDLL("libz.so.1")
libz.zlibVersion.restype = ctypes.c_char_p
libz.crc32_combine64.restype = ctypes.c_ulong
libz.crc32_combine64.argtypes = [ctypes.c_ulong, ctypes.c_ulong, ctypes.c_int64]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def answer(self, status, text):
        text += f" zlib={libz.zlibVersion().decode()}\n"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        first, second = body[: len(body) // 2], body[len(body) // 2 :]
        combined = libz.crc32_combine64(zlib.crc32(first), zlib.crc32(second), len(second))
        stored = zlib.decompress(zlib.compress(body)) == body
        self.answer(200 if stored else 500,
                    f"crc32={zlib.crc32(body):08x} combined={combined:08x}"
                    f" adler32={zlib.adler32(body):08x}")

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        combined = libz.crc32_combine64(int(query["crc1"][0], 16), int(query["crc2"][0], 16),
                                        int(query["len2"][0]))
        self.answer(200, f"combined={combined:08x}")

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    sys.exit(0)
