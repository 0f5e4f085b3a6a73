#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client of redis that checks every answer.

client.py PORT load CONNECTIONS   until standard input ends; then one line
                                  "requests N failed N longest_us N"
client.py PORT restore PATCH TEXT KEY
    RESTORE the first payload behind TEXT in PATCH, a Debian patch whose tests
    bring payloads, under KEY; prints what the server answers
"""
import re
import socket
import sys
import threading
import time

POLYNOMIAL = 0x95AC9329AC4BC9B5  # of Jones, reflected


def crc64(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0)
    return crc


class Redis:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) +
                            b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        line = self.file.readline().rstrip(b"\r\n")
        if line[:1] != b"$":
            return line
        if line == b"$-1":
            return None
        return self.file.read(int(line[1:]) + 2)[:-2]


class Load(threading.Thread):
    end = threading.Event()

    def __init__(self, port, number):
        super().__init__()
        self.redis = Redis(port)
        self.key = f"load{number}"
        self.requests = self.failed = self.longest = 0

    def expect(self, want, *words):
        begin = time.monotonic()
        try:
            answer = self.redis.ask(*words)
        except OSError as error:
            answer = error
        self.longest = max(self.longest, time.monotonic() - begin)
        self.requests += 1
        if answer != want:
            self.failed += 1
            print(f"client: {words} gave {answer!r}, not {want!r}", file=sys.stderr)

    def run(self):
        n = 0
        self.expect(b"+OK", "SET", self.key + "n", 0)
        while not self.end.is_set() and self.failed < 5:
            n += 1
            value = b"%d " % n * (n % 50 + 1)
            self.expect(b"+OK", "SET", self.key, value)
            self.expect(value, "GET", self.key)
            self.expect(b":%d" % n, "INCR", self.key + "n")
            self.expect(b":%d" % len(value), "STRLEN", self.key)
            # what the patches are about: a value written and read back as a dump
            dump = self.redis.ask("DUMP", self.key)
            self.expect(b"+OK", "RESTORE", self.key + "r", 0, dump, "REPLACE")
            self.expect(value, "GET", self.key + "r")


def load(port, connections):
    loads = [Load(port, n) for n in range(int(connections))]
    for one in loads:
        one.start()
    sys.stdin.read()
    Load.end.set()
    for one in loads:
        one.join()
    failed = sum(one.failed for one in loads)
    print(f"requests {sum(one.requests for one in loads)} failed {failed} "
          f"longest_us {int(max(one.longest for one in loads) * 1e6)}")
    return failed != 0


def restore(port, patch, text, key):
    with open(patch, encoding="utf-8") as file:
        found = re.search(r'"((?:\\x[0-9a-fA-F]{2}){12,})"', file.read().split(text, 1)[1])
    payload = bytes.fromhex(found.group(1).replace("\\x", ""))[:-8]
    payload += crc64(payload).to_bytes(8, "little")
    print(Redis(port).ask("RESTORE", key, 0, payload, "REPLACE").decode())
    return 0


sys.exit({"load": load, "restore": restore}[sys.argv[2]](int(sys.argv[1]), *sys.argv[3:]))
