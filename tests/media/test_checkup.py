"""What the doctor says of the media workers' surroundings."""

import errno
import os
import socket

import pytest

from service.media.checkup import KERNEL_BUFFER, examine_media, out_of_reach
from service.media.config import MediaConfig
from service.media.worker import mux
from service.media.worker.desk import FaultError
from service.media.worker.main import addresses, reachable
from service.media.worker.messages import Setup


def told(tmp_path, *, remote=False, **options):
    found = examine_media(MediaConfig(tmp_path, **options), remote=remote)
    return [(finding.mark, finding.text) for finding in found]


def test_media_that_is_off_is_noted(tmp_path):
    for config in (None, MediaConfig(tmp_path)):
        [finding] = examine_media(config, off=True)
        assert finding.mark == "note"
        assert finding.text.startswith("media is off")


def test_that_another_process_must_run_the_workers_is_noted():
    [finding] = examine_media(None)
    assert finding.mark == "note"
    assert "role media" in finding.text
    assert "off" not in finding.text


@pytest.mark.parametrize(("warm", "part"), [(1, ", 1 worker waits for one"), (2, ", 2 workers wait for one")])
def test_how_many_workers_wait(tmp_path, warm, part):
    assert part in told(tmp_path, warm_workers=warm)[0][1]


@pytest.mark.parametrize("options", [{}, {"low_port": 40_000, "high_port": 40_009}])
def test_an_address_of_another_machine_is_a_fault(tmp_path, options):
    _, (mark, text) = told(tmp_path, host="192.0.2.1", **options)
    assert mark == "FAULT"
    assert text.startswith("media workers cannot listen on 192.0.2.1 (HOOKSWITCH_MEDIA_HOST): ")


def test_ports_that_are_taken_are_counted(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        _, (mark, text), *_ = told(tmp_path, low_port=port, high_port=port)
    assert (mark, text) == ("FAULT", f"0 of the 1 UDP ports {port} to {port} are free for media workers")
    _, (mark, text), *_ = told(tmp_path, low_port=port, high_port=port)
    assert (mark, text) == ("ok", f"1 of the 1 UDP ports {port} to {port} are free for media workers")
    _, (mark, text), *_ = told(tmp_path)
    assert (mark, "any free UDP port" in text) == ("note", True)


@pytest.mark.parametrize(
    ("options", "mark", "part"),
    [
        ({}, "note", "only this machine's own can"),
        ({"host": "0.0.0.0", "addresses": ("10.0.0.5",)}, "note", "only those of its private network can"),
        ({"host": "0.0.0.0", "addresses": ("9.9.9.9", "2620:fe::fe")}, "ok", "send media to 9.9.9.9, 2620:fe::fe"),
    ],
)
def test_the_address_that_clients_are_told(tmp_path, options, mark, part):
    found = told(tmp_path, **options)[2]
    assert found[0] == mark
    assert part in found[1]


@pytest.mark.parametrize(
    ("options", "mark"),
    [
        ({}, "FAULT"),
        ({"host": "::1"}, "FAULT"),
        ({"host": "0.0.0.0", "addresses": ("9.9.9.9",)}, "ok"),
        ({"addresses": ("127.0.0.1",)}, "note"),
        ({"addresses": ("9.9.9.9",)}, "ok"),
    ],
)
def test_workers_that_only_this_machine_reaches_are_a_fault_where_others_are_served(tmp_path, options, mark):
    found = told(tmp_path, remote=True, **options)[2]
    assert found[0] == mark
    assert ("HOOKSWITCH_MEDIA_HOST" in found[1]) is (mark == "FAULT")
    assert out_of_reach(MediaConfig(tmp_path, **options), remote=False) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_it_is_the_one_that_a_worker_tells(tmp_path, host):
    """Where a machine has no way out there is none to tell."""
    try:
        wanted = addresses(Setup("w", str(tmp_path), host))[0]
    except OSError:
        wanted = "HOOKSWITCH_MEDIA_PUBLIC_IP"
    assert wanted in told(tmp_path, host=host)[2][1]


class Nowhere(socket.socket):
    """A socket of a machine without a way out."""

    def connect(self, _address):
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_worker_that_finds_no_address_says_which_setting_helps(tmp_path, monkeypatch, host):
    monkeypatch.setattr(socket, "socket", Nowhere)
    with pytest.raises(FaultError, match=r"Network is unreachable \(HOOKSWITCH_MEDIA_PUBLIC_IP\)$") as refused:
        reachable(Setup("w", str(tmp_path), host))
    assert refused.value.fault.code == "media_unavailable"
    assert reachable(Setup("w", str(tmp_path), host, ("9.9.9.9",))) == ("9.9.9.9",)


def test_the_buffer_is_what_the_kernel_grants_a_worker(tmp_path):
    mark, text = told(tmp_path)[3]
    with mux.open_socket("127.0.0.1") as sock:
        granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    assert (mark == "ok") is (granted >= KERNEL_BUFFER)
    assert "receive buffer" in text
    assert ("net.core.rmem_max" in text) is (mark == "note")
    assert KERNEL_BUFFER == mux.KERNEL_BUFFER
