import socket

from service.media.worker.mux import open_socket


class Network(socket.socket):
    """A real socket on a network that loses what `loses` says and fails with `trouble` while there is some."""

    trouble = None

    @staticmethod
    def loses(data):
        return False

    @classmethod
    def opened(cls, host):
        made = open_socket(host)
        sock = cls(made.family, made.type, made.proto, made.detach())
        sock.setblocking(False)
        return sock

    def sendto(self, data, *where):
        if self.trouble:
            raise self.trouble
        return len(data) if self.loses(data) else super().sendto(data, *where)
