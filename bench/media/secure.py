"""DTLS by OpenSSL and SRTP in place by libsrtp, without anything of the forwarder under measurement."""

import datetime as dt
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

TRAILER = 32
MTU = 1200
# OpenSSL's name, libsrtp's profile, bytes of key and of salt.
PROFILES = (
    (b"SRTP_AEAD_AES_256_GCM", Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
    (b"SRTP_AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    (b"SRTP_AES128_CM_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
)


@cache
def identity():
    """Key, certificate and fingerprint that all clients of this process share."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return key, certificate, certificate.fingerprint(hashes.SHA256()).hex(":").upper()


@cache
def context():
    key, certificate, _ = identity()
    made = SSL.Context(SSL.DTLS_METHOD)
    made.set_options(SSL.OP_NO_TICKET)
    made.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    made.use_certificate(certificate)
    made.use_privatekey(key)
    made.set_tlsext_use_srtp(b":".join(profile[0] for profile in PROFILES))
    return made


class Handshake:
    """One side of a DTLS handshake; `send` takes datagrams. `inbound` and `outbound` are set at its end."""

    def __init__(self, send, fingerprint, *, begins):
        self._send = send
        self._fingerprint = fingerprint
        self._ssl = SSL.Connection(context())
        self._ssl.set_ciphertext_mtu(MTU)
        self._begins = begins
        (self._ssl.set_connect_state if begins else self._ssl.set_accept_state)()
        self.inbound = None
        self.outbound = None
        self.closed = False

    @property
    def done(self):
        return self.outbound is not None

    def timeout(self):
        """Seconds until `late` is to be called; None for never."""
        return self._ssl.DTLSv1_get_timeout()

    def late(self):
        self._ssl.DTLSv1_handle_timeout()
        self._flush()

    def advance(self, data=b""):
        """Take a datagram of the other side (or begin)."""
        if data:
            self._ssl.bio_write(data)
        if self.done:
            self._read()
            return
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            return
        finally:
            self._flush()
        self._finish()

    def close(self):
        if self.done and not self.closed:
            self._ssl.shutdown()
            self._flush()

    def _read(self):
        try:
            self._ssl.recv(MTU)
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error:
            pass
        self._flush()

    def _flush(self):
        while True:
            try:
                self._send(self._ssl.bio_read(MTU + 300))
            except SSL.WantReadError:
                return

    def _finish(self):
        found = self._ssl.get_peer_certificate(as_cryptography=True).fingerprint(hashes.SHA256()).hex(":").upper()
        if found != self._fingerprint.upper():
            raise ConnectionError(f"the certificate is {found}, not the announced {self._fingerprint}")
        agreed = self._ssl.get_selected_srtp_profile()
        _, profile, key, salt = next(profile for profile in PROFILES if profile[0] == agreed)
        secret = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        ours = secret[:key] + secret[2 * key : 2 * key + salt]
        theirs = secret[key : 2 * key] + secret[2 * key + salt :]
        if not self._begins:
            ours, theirs = theirs, ours
        self.inbound = srtp(theirs, Policy.SSRC_ANY_INBOUND, profile)
        self.outbound = srtp(ours, Policy.SSRC_ANY_OUTBOUND, profile)


def srtp(key, direction, profile):
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile)
    policy.allow_repeat_tx = True
    policy.window_size = 1024
    return Session(policy)


class InPlace:
    """A fixed buffer that libsrtp works on without copies: `view` for Python, `pointer(offset)` for the library."""

    def __init__(self, size):
        self.view = bytearray(size)
        self._base = ffi.from_buffer("char[]", self.view)
        self.length = ffi.new("int *")

    def pointer(self, offset=0):
        return self._base + offset


def handle(session):
    """What `unprotect` and `protect` take; keep the session itself alive as long."""
    return session._srtp[0]  # noqa: SLF001 - the bare library, without a copy of every packet


unprotect = lib.srtp_unprotect
protect = lib.srtp_protect
