"""Serves S3 by another hand than ours, on a free port of loopback, for as long as standard input is open.

The socket is bound here and handed over, so no other process can take the port in between. The first line
of standard output is the port. The end of standard input means that the test is gone, however it ended;
then this process goes too, with everything it started.
"""

import asyncio
import os
import signal
import socket
import sys
import threading


def follow_parent():
    sys.stdin.buffer.read()
    # The test made this process the leader of a group; without that, only this process may be ended.
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def main():
    threading.Thread(target=follow_parent, daemon=True).start()
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    port = listener.getsockname()[1]
    # Read when the package is imported, hence the imports below.
    os.environ["GATEWAY_PORT"] = str(port)
    print(port, flush=True)

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.loglevel = "WARNING"
    asyncio.run(serve(app, config))


main()
