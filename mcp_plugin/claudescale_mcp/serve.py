"""Run the server over stdio. Light to import: what takes time is imported when it runs."""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import os
import signal
import sys

from claudescale_mcp.link import Place

log = logging.getLogger("claudescale.mcp")


def serve(place: Place, *, allow_writes: bool = False) -> None:
    """Serve until the client goes away. Standard output is the protocol's; the log is on standard error."""
    # FastMCP reads settings of its own from a .env in the folder where it starts, which may be anybody's.
    os.environ.setdefault("FASTMCP_ENV_FILE", os.devnull)
    # Hundreds of classes are made, none is let go: without the collector the start is a tenth shorter.
    gc.disable()
    from claudescale_mcp.server import build  # noqa: PLC0415 - see above

    server = build(place, allow_writes=allow_writes)
    gc.enable()
    gc.freeze()
    # A thread that reads standard input cannot be woken, so that asyncio's own way to end would hang.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _: _end(128 + got))
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="claudescale mcp: %(message)s")
    try:
        server.run(transport="stdio", show_banner=False, log_level="ERROR")
    except BaseException as error:
        if not _is_hang_up(error):
            log.exception("the server ended")
            _end(1)
    _end(0)


def _is_hang_up(error: BaseException) -> bool:
    """Whether the client is gone, so that an answer could not be written."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_hang_up(one) for one in error.exceptions)
    return isinstance(error, (BrokenPipeError, ConnectionResetError))


def _end(code: int) -> None:
    """End now: a request that its client abandoned may still wait for the cluster in a thread.

    What is to be done at exit is done: kubernetes then deletes the files into which it wrote a kubeconfig's keys.
    """
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):  # nobody reads it any more
        sys.stderr.flush()
    os._exit(code)
