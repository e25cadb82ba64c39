"""A long, lossy link between this machine and a network namespace: packets of real TCP, delayed and lost.

    longlink.py NAMESPACE DELAY_MS LOSS RATE_MBIT PORT...

Packets pass from one tunnel device to the other: each waits for its turn at the link's rate, is lost with the
probability LOSS, and arrives DELAY_MS later. The namespace reaches PORTs of this machine's loopback at its own
loopback, over the link. Servers far away control congestion by CUBIC, as most do. Ends with its input.
"""

import collections
import fcntl
import os
import random
import select
import socket
import struct
import subprocess
import sys
import threading
import time

import gate

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
HERE, THERE = "10.213.7.1", "10.213.7.2"
# Packets that may wait for their turn: a fifth of a second at 100 Mbit/s.
QUEUE = 1_700


def run(*words: str) -> None:
    subprocess.run(words, check=True)


def tunnel(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


class Way:
    """One direction: from a device to the other."""

    def __init__(self, read: int, write: int, delay: float, loss: float, rate: float) -> None:
        self.read, self.write, self.delay, self.loss, self.rate = read, write, delay, loss, rate
        self.free = 0.0
        self.flying: collections.deque[tuple[float, bytes]] = collections.deque()
        self.chance = random.Random(read)

    def take(self, now: float) -> None:
        while True:
            try:
                packet = os.read(self.read, 65_536)
            except BlockingIOError:
                return
            if self.chance.random() < self.loss or len(self.flying) > QUEUE + self.delay * self.rate / 1_500:
                continue
            self.free = max(self.free, now) + len(packet) / self.rate
            self.flying.append((self.free + self.delay, packet))

    def give(self, now: float) -> float:
        """Lets arrive what is due; gives the time of the next."""
        while self.flying:
            due, packet = self.flying[0]
            if due > now:
                return due
            self.flying.popleft()
            try:
                os.write(self.write, packet)
            except OSError:
                pass  # A full device loses packets, as devices do.
        return now + 1


def forward(ways: list[Way]) -> None:
    while True:
        now = time.monotonic()
        due = min(way.give(now) for way in ways)
        readable, _, _ = select.select([way.read for way in ways], [], [], max(0.0, due - time.monotonic()))
        now = time.monotonic()
        for way in ways:
            if way.read in readable:
                way.take(now)


def relay(listener: socket.socket, host: str, port: int) -> None:
    def join(inner: socket.socket) -> None:
        with inner:
            try:
                outer = socket.create_connection((host, port))
            except OSError:
                return
            with outer:
                gate.carry(inner, outer)

    gate.serve(listener, join)


def in_namespace(ports: list[str]) -> None:
    """The far end: run within the namespace."""
    for port in ports:
        listener = socket.create_server(("127.0.0.1", int(port)), backlog=1024)
        relay(listener, HERE, int(port))
    print("ready", flush=True)
    sys.stdin.read()


def main() -> None:
    if sys.argv[1] == "--in-namespace":
        return in_namespace(sys.argv[2:])
    namespace, delay_ms, loss, rate_mbit, *ports = sys.argv[1:]
    # Names of devices are short, and there may be another link.
    here, there = (f"ll{side}{os.getpid() % 1_000_000}" for side in "ab")
    devices = tunnel(here), tunnel(there)
    run("ip", "link", "set", there, "netns", namespace)
    run("ip", "addr", "add", HERE, "peer", THERE, "dev", here)
    run("ip", "link", "set", here, "up")
    run("ip", "route", "replace", THERE, "dev", here, "congctl", "cubic")
    inside = ["ip", "netns", "exec", namespace]
    run(*inside, "ip", "addr", "add", THERE, "peer", HERE, "dev", there)
    run(*inside, "ip", "link", "set", there, "up")
    delay, rate = float(delay_ms) / 2_000, float(rate_mbit) * 1e6 / 8
    pairs = (devices, devices[::-1])
    ways = [Way(read, write, delay, float(loss), rate) for read, write in pairs]
    threading.Thread(target=forward, args=(ways,), daemon=True).start()
    for port in ports:
        listener = socket.create_server((HERE, int(port)), backlog=1024)
        relay(listener, "127.0.0.1", int(port))
    far = [*inside, sys.executable, __file__, "--in-namespace", *ports]
    with subprocess.Popen(far, stdin=subprocess.PIPE) as child:
        sys.stdin.read()
        child.kill()


if __name__ == "__main__":
    main()
