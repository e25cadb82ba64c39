"""What the servers of other hands share: how they listen, and how they end with the test that began them."""

import os
import signal
import socket
import sys
import threading


def _follow_parent():
    sys.stdin.buffer.read()
    # The test made this process the leader of a group; without that, only this process may be ended.
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def listen():
    """A socket that listens on a free port, and that port, which is told on standard output."""
    threading.Thread(target=_follow_parent, daemon=True).start()
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    port = listener.getsockname()[1]
    print(port, flush=True)
    return listener, port
