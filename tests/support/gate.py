"""Lets the processes of a network namespace reach ports of this machine's loopback, and nothing else.

    gate.py NAMESPACE PORT...

Each port is listened on at the namespace's own loopback, so that an address means the same on both sides.
Lines on standard input: `cut` ends every connection and takes no more until `mend`. Ends with its input.
"""

import functools
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

LISTENS = """
import socket, sys
channel = socket.socket(fileno=0)
for port in sys.argv[1:]:
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=1024)
    socket.send_fds(channel, [b"1"], [listener.fileno()])
    channel.recv(1)
"""
BYTES = 1 << 20


class Gate:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.is_cut = False
        self.open: set[socket.socket] = set()

    def cut(self, cut: bool) -> None:
        with self.lock:
            self.is_cut = cut
            ended = list(self.open) if cut else []
        for end in ended:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # It has ended by itself.

    def join(self, inner: socket.socket, port: int) -> None:
        with inner:
            try:
                outer = socket.create_connection(("127.0.0.1", port))
            except OSError:
                return
            with outer:
                with self.lock:
                    if self.is_cut:
                        return
                    self.open |= {inner, outer}
                carry(inner, outer)
                with self.lock:
                    self.open -= {inner, outer}


def serve(listener: socket.socket, join: Callable[[socket.socket], None]) -> None:
    """Joins each connection that comes, from now on."""

    def accept() -> None:
        while True:
            inner, _ = listener.accept()
            threading.Thread(target=join, args=(inner,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def carry(inner: socket.socket, outer: socket.socket) -> None:
    """Moves bytes both ways until both have ended."""
    back = threading.Thread(target=pump, args=(outer, inner), daemon=True)
    back.start()
    pump(inner, outer)
    back.join()


def pump(read: socket.socket, write: socket.socket) -> None:
    """Moves bytes within the kernel until one side ends."""
    out, into = os.pipe()
    try:
        while moved := os.splice(read.fileno(), into, BYTES):
            while moved:
                moved -= os.splice(out, write.fileno(), moved)
    except OSError:
        pass  # Whoever reads or writes here sees its connection end.
    finally:
        os.close(out)
        os.close(into)
        try:
            write.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def listeners(namespace: str, ports: list[str]) -> list[socket.socket]:
    ours, theirs = socket.socketpair()
    command = ["ip", "netns", "exec", namespace, sys.executable, "-c", LISTENS, *ports]
    with subprocess.Popen(command, stdin=theirs.fileno()) as child:
        theirs.close()
        made = []
        for _ in ports:
            word, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
            if not word:
                sys.exit(f"the namespace {namespace} cannot be listened in")
            made.append(socket.socket(fileno=descriptors[0]))
            ours.send(b"1")
        child.wait()
    return made


def main() -> None:
    namespace, *ports = sys.argv[1:]
    gate = Gate()
    for port, listener in zip(ports, listeners(namespace, ports)):
        serve(listener, functools.partial(gate.join, port=int(port)))
    print("ready", flush=True)
    for line in sys.stdin:
        gate.cut(line.strip() == "cut")
        print("done", flush=True)


if __name__ == "__main__":
    main()
