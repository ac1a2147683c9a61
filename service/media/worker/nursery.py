"""A process that has imported all a worker needs and forks one on request, so that no call waits for imports.

It runs nothing else: no thread, no event loop, nothing that a fork would tear in two. Requests come over a socket
that keeps messages apart (SOCK_SEQPACKET), the worker's end of its channel beside them (SCM_RIGHTS). It ends when
the service does; its workers do not (they wait for the next service by themselves).
"""

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import traceback

import msgspec

from service.media.worker.dtls import make_certificate
from service.media.worker.main import run
from service.media.worker.messages import Fork, Forked, Setup

LONGEST_REQUEST = 64 * 1024


class Nursery:
    """Forks, watches and reaps. Each child is watched through a descriptor (pidfd), so no signal can be missed."""

    def __init__(self, service: socket.socket) -> None:
        self._service = service
        self._children: dict[int, tuple[int, str]] = {}
        self._poll = select.poll()
        self._poll.register(service, select.POLLIN)

    def run(self) -> None:
        """Serve until the service is gone."""
        with contextlib.suppress(OSError):  # the service is gone
            self._say(Forked(ready=True, pid=os.getpid()))
            while True:
                for descriptor, _ in self._poll.poll():
                    if descriptor in self._children:
                        self._reap(descriptor)
                    elif not self._serve():
                        return

    def _serve(self) -> bool:
        text, descriptors, _, _ = socket.recv_fds(self._service, LONGEST_REQUEST, 1)
        if not text:
            return False
        setup = msgspec.json.decode(text, type=Fork).setup
        try:
            self._fork(setup, descriptors[0])
        except OSError as error:  # no memory, too many processes
            self._say(Forked(setup.worker, failed=str(error)))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _fork(self, setup: Setup, descriptor: int) -> None:
        pid = os.fork()
        if pid == 0:
            self._become(setup, descriptor)
        watch = os.pidfd_open(pid)
        self._children[watch] = (pid, setup.worker)
        self._poll.register(watch, select.POLLIN)
        self._say(Forked(setup.worker, pid), watch)

    def _become(self, setup: Setup, descriptor: int) -> None:
        """The child: a worker, and never again a nursery."""
        status = 1
        try:
            self._service.close()
            for watch in self._children:
                os.close(watch)
            status = run(setup, socket.socket(fileno=descriptor))
        except BaseException:  # noqa: BLE001 - whatever it was, it must not return into the nursery's loop
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _reap(self, watch: int) -> None:
        pid, worker = self._children.pop(watch)
        self._poll.unregister(watch)
        os.close(watch)
        _, status = os.waitpid(pid, 0)
        self._say(Forked(worker, pid, os.waitstatus_to_exitcode(status)))

    def _say(self, message: Forked, *descriptors: int) -> None:
        socket.send_fds(self._service, [msgspec.json.encode(message)], descriptors)


def main() -> None:
    """`python -m service.media.worker.nursery <descriptor>`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the service's affair
    service = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(service.fileno(), False)
    make_certificate()  # thrown away: OpenSSL sets itself up with the first, in megabytes that are then shared
    # What lives now lives for ever: the collector of a child does not touch it, so its pages stay shared.
    gc.collect()
    gc.freeze()
    Nursery(service).run()


if __name__ == "__main__":
    main()
