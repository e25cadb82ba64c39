"""Serves S3 by the hand of moto, on a free port of loopback, for as long as standard input is open.

The first line of standard output is the port. The end of standard input means that the test is gone, however it
ended; then this process goes too.
"""

import os

from loopback import listen


def name_lists_of_parts_as_s3_does():
    """The list of parts has a root of another name than S3's, and SDKs that look at it cannot read the answer."""
    from moto.s3.responses import S3Response

    theirs = S3Response.list_parts

    def ours(self):
        status, headers, body = theirs(self)
        return status, headers, body.replace("ListPartsResponse", "ListPartsResult")

    S3Response.list_parts = ours


def main():
    listener, port = listen()
    # It believes to be Amazon's whatever its port is, and calls nobody else.
    os.environ["MOTO_PORT"] = str(port)

    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    name_lists_of_parts_as_s3_does()
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server(
        "127.0.0.1", port, app, threaded=True, request_handler=MotoRequestHandler, fd=listener.fileno()
    )
    server.serve_forever()


main()
