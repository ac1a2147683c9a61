"""The libraries' inner surface is checked before anything is built on it."""

import subprocess
import sys
from importlib.metadata import version
from types import SimpleNamespace

import pylibsrtp
import pytest
from aiortc import RTCDtlsTransport
from pylibsrtp import _binding

from service.media.worker import dtls, srtp
from tests.house.source import ROOT


def test_the_installed_libraries_have_every_hook():
    assert dtls.missing_hooks(RTCDtlsTransport) == []
    assert srtp.missing_hooks(_binding, pylibsrtp.Session()) == []


@pytest.mark.parametrize("name", ["_recv_next", "_write_ssl", "start", "stop", "_set_role"])
def test_a_method_that_is_gone_is_named(name):
    class Lacking(type):
        def __getattribute__(cls, wanted):
            if wanted == name:
                raise AttributeError(wanted)
            return super().__getattribute__(wanted)

    class Changed(RTCDtlsTransport, metaclass=Lacking):
        pass

    assert [fault.split()[0] for fault in dtls.missing_hooks(Changed)] == [name]


def test_a_transport_that_is_fed_in_another_way_is_noticed():
    class Changed(RTCDtlsTransport):
        async def _recv_next(self):
            await self.transport.receive()

    assert dtls.missing_hooks(Changed) == ["_recv_next (calling transport._recv)"]


def test_another_constructor_is_noticed():
    class Changed(RTCDtlsTransport):
        def __init__(self, transport, certificates, role):
            super().__init__(transport, certificates)

    assert dtls.missing_hooks(Changed) == ["__init__(transport, certificates)"]


def test_calls_of_libsrtp_that_are_gone_or_different_are_named():
    lib = SimpleNamespace(
        srtp_protect=_binding.lib.srtp_protect,
        srtp_unprotect=_binding.lib.srtp_unprotect,
        srtp_protect_rtcp=_binding.lib.srtp_create,
    )
    changed = SimpleNamespace(lib=lib, ffi=_binding.ffi)
    assert srtp.missing_hooks(changed, object()) == ["srtp_protect_rtcp", "srtp_unprotect_rtcp", "Session._srtp"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("del aiortc.RTCDtlsTransport._recv_next", f"aiortc {version('aiortc')}: RTCDtlsTransport lacks _recv_next"),
        ("del pylibsrtp._binding.lib; pylibsrtp._binding.lib = None", f"pylibsrtp {version('pylibsrtp')} lacks"),
    ],
)
def test_an_import_without_the_hooks_fails_and_names_the_version(change, told):
    program = f"import aiortc, pylibsrtp._binding; {change}; import service.media.worker.dtls"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert f"HookMissing: {told}" in done.stderr
