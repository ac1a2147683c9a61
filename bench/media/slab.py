"""Many datagrams with one system call (recvmmsg), into one buffer in which they are decrypted in place."""

import cffi

from bench.media.secure import InPlace

SLOT = 2048
A_WAKE = 64
NOT_NOW = 0x40  # MSG_DONTWAIT


def _kernel():
    ffi = cffi.FFI()
    ffi.cdef(
        """
        struct iovec { void *base; size_t length; };
        struct msghdr { void *name; unsigned name_length; struct iovec *vectors; size_t vector_count;
                        void *control; size_t control_length; int flags; };
        struct mmsghdr { struct msghdr header; unsigned length; };
        int recvmmsg(int, struct mmsghdr *, unsigned, int, void *);
        """
    )
    return ffi, ffi.dlopen(None)


class Slab:
    """Room for `A_WAKE` datagrams, shared by all clients of a process: what was received is used at once."""

    def __init__(self):
        self._ffi, self._library = _kernel()
        self.buffer = InPlace(SLOT * A_WAKE)
        base = self._ffi.from_buffer("char[]", self.buffer.view)
        self._vectors = self._ffi.new("struct iovec[]", A_WAKE)
        self.headers = self._ffi.new("struct mmsghdr[]", A_WAKE)
        for number in range(A_WAKE):
            self._vectors[number].base = base + number * SLOT
            self._vectors[number].length = SLOT
            self.headers[number].header.vectors = self._vectors + number
            self.headers[number].header.vector_count = 1
        self.places = [(number, number * SLOT, self.buffer.pointer(number * SLOT)) for number in range(A_WAKE)]

    def receive(self, descriptor):
        """How many datagrams came; their lengths are in `headers[n].length`."""
        return self._library.recvmmsg(descriptor, self.headers, A_WAKE, NOT_NOW, self._ffi.NULL)
