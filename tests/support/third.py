"""Serves S3 by the hand of moto, on a free port of loopback, for as long as standard input is open.

The first line of standard output is the port. The end of standard input means that the test is gone, however it
ended; then this process goes too.
"""

import os
import socket
import sys
import threading


def follow_parent():
    sys.stdin.buffer.read()
    os._exit(0)


def name_lists_of_parts_as_s3_does():
    """The list of parts has a root of another name than S3's, and SDKs that look at it cannot read the answer."""
    from moto.s3.responses import S3Response

    theirs = S3Response.list_parts

    def ours(self):
        status, headers, body = theirs(self)
        return status, headers, body.replace("ListPartsResponse", "ListPartsResult")

    S3Response.list_parts = ours


def main():
    threading.Thread(target=follow_parent, daemon=True).start()
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    port = listener.getsockname()[1]
    # It believes to be Amazon's whatever its port is, and calls nobody else.
    os.environ["MOTO_PORT"] = str(port)
    print(port, flush=True)

    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    name_lists_of_parts_as_s3_does()
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server(
        "127.0.0.1", port, app, threaded=True, request_handler=MotoRequestHandler, fd=listener.fileno()
    )
    server.serve_forever()


main()
