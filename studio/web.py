"""The web process of `manage.py studio`: uvicorn on a socket its parent opened.

    python -m studio.web 3        # 3: the number of a listening socket

The parent keeps the socket, so nobody is refused while this process is replaced.
"""

from __future__ import annotations

import socket
import sys
import warnings

import uvicorn

CLOSE_S = 3  # for answers under way; sockets of open pages are closed


# Django reads a file in a thread before it sends it, and says so: they are some megabytes at most.
READ_IN_A_THREAD = "StreamingHttpResponse must consume synchronous iterators"


def main() -> None:
    warnings.filterwarnings("ignore", READ_IN_A_THREAD)
    listener = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(
        "studio.asgi:application",
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",  # the sockets start and stop what they need
        server_header=False,
        proxy_headers=False,  # Django decides whom to believe: TRUSTED_PROXY
        ws_max_size=64 * 1024,  # bytes; a page says a few words at most
        timeout_graceful_shutdown=CLOSE_S,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
