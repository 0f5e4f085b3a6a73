#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client of redis that checks every answer.

client.py PORT load CONNECTIONS   until standard input ends; then one line
                                  "requests N failed N longest_us N"
client.py PORT restore PATCH TEXT KEY
    RESTORE the first payload behind TEXT in PATCH, a Debian patch whose tests
    bring payloads, under KEY; prints what the server answers
client.py PORT raw KEY HEX
    the same with the payload HEX, which lacks its check sum
client.py PORT bus
    sends the cluster bus a packet whose host name has no end, and a good one behind
    it; prints which of them it answers
client.py PORT ask WORD...
    prints what the server answers
"""
import re
import socket
import struct
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


def restore_payload(port, key, payload):
    payload += crc64(payload).to_bytes(8, "little")
    try:
        print(Redis(port).ask("RESTORE", key, 0, payload, "REPLACE").decode() or
              "no answer: the connection ends")
    except OSError as error:
        print(f"no answer: {error}")
    return 0


def restore(port, patch, text, key):
    with open(patch, encoding="utf-8") as file:
        found = re.search(r'"((?:\\x[0-9a-fA-F]{2}){12,})"', file.read().split(text, 1)[1])
    return restore_payload(port, key, bytes.fromhex(found.group(1).replace("\\x", ""))[:-8])


def raw(port, key, payload):
    return restore_payload(port, key, bytes.fromhex(payload))


def ask(port, *words):
    answer = Redis(port).ask(*words)
    print(answer.decode() if answer is not None else "(nil)")
    return 0


def packet(extension):
    """A PING of redis 7.0's cluster bus, from a node that nobody knows."""
    head, sender, flag = 2256, b"f" * 40, 4 if extension else 0
    return (struct.pack(">4sIHHHHQQQ40s2048s40s46sH30xHHHB3s", b"RCmb",
                        head + len(extension), 1, 0, 0, 0, 0, 0, 0, sender, b"", b"", b"",
                        1 if extension else 0, 0, 0, 0, 0, bytes([flag, 0, 0])) + extension)


def counted(redis):
    """Packets of the bus: PINGs that came, PONGs that went."""
    info = redis.ask("CLUSTER", "INFO").decode()
    return [int((re.search(rf"messages_{what}:(\d+)", info) or [0, 0])[1])
            for what in ("ping_received", "pong_sent")]


def bus(port):
    redis = Redis(port)
    begin, end = counted(redis), time.monotonic() + 120
    name = b"A" * 32
    with socket.create_connection(("127.0.0.1", port + 10000), timeout=120) as link:
        link.sendall(packet(struct.pack(">IHH", 8 + len(name), 0, 0) + name) + packet(b""))
        # a packet is counted, looked at and answered before we are answered
        while (now := counted(redis))[0] < begin[0] + 2 and time.monotonic() < end:
            pass
    answers = now[1] - begin[1]
    print({1: "answered the good one", 2: "answered both"}.get(answers, f"{answers} answers"))
    return 0


sys.exit({"load": load, "restore": restore, "raw": raw, "bus": bus, "ask": ask}
         [sys.argv[2]](int(sys.argv[1]), *sys.argv[3:]))
