"""Loaded by the fork server alone, first of all: it ends with main, and leaves nothing.

Python's fork server listens at a socket with a name, in a folder that its main process removes at
its end, unless that is killed. So the server removes it too. It lives until main is gone, whatever
signal a whole group of processes may get; and no longer, also while it loads what workers need,
which takes seconds in which it does not look for its main process.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import stat

_PID = os.getpid()
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
LOOK_EVERY_S = 0.2
"""How late the end of main is noticed while modules are loaded."""


def listening_paths() -> list[str]:
    """Return the names of the sockets at which this process listens."""
    found = [_listening_path(int(name)) for name in os.listdir("/dev/fd")]
    return [path for path in found if isinstance(path, str) and path]


def _listening_path(fd: int) -> object:
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            with socket.socket(fileno=os.dup(fd)) as found:
                if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    return found.getsockname()
    return None


def _remove(paths: list[str]) -> None:
    """Remove sockets, and their folder with the last of them."""
    if os.getpid() != _PID:
        return  # a worker
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)
            os.rmdir(os.path.dirname(path))


def _protect() -> None:
    """Ignore signals that are for main, but let the processes that we make have them; Ctrl-C was
    held back while the server began."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
    before[signal.SIGALRM] = signal.SIG_DFL

    def give_back() -> None:
        if os.getppid() != _PID:
            return  # a child of a child, which may have handlers of its own
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for number, handler in before.items():
            signal.signal(number, handler)

    os.register_at_fork(after_in_child=give_back)


def _watch_main(paths: list[str]) -> None:
    """Look for main now and then, until the first worker is made: then the server does so."""
    main_pid = os.getppid()

    def look(*_: object) -> None:
        if os.getppid() != main_pid:
            _remove(paths)
            os._exit(0)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, LOOK_EVERY_S, LOOK_EVERY_S)
    os.register_at_fork(before=_stop_looking)


def _stop_looking() -> None:
    if os.getpid() == _PID:
        signal.setitimer(signal.ITIMER_REAL, 0)


_PATHS = listening_paths()
atexit.register(_remove, _PATHS)
_protect()
_watch_main(_PATHS)
