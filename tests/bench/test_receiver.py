"""The bench's stand-in for other people's endpoints reads requests as they come, in whatever pieces."""

import pytest

from bench.load.receiver import take_request

REQUEST = b"POST /ok/3 HTTP/1.1\r\nHost: x\r\nWebhook-Id: e1\r\nContent-Length: 4\r\n\r\n{}\r\n"


def test_a_whole_request_is_taken_and_the_next_one_left():
    assert take_request(REQUEST + REQUEST[:10]) == (False, "e1", REQUEST[:10])


@pytest.mark.parametrize("end", range(len(REQUEST)))
def test_a_part_of_one_is_not(end):
    assert take_request(REQUEST[:end]) is None


def test_one_that_shall_hang_says_so():
    assert take_request(REQUEST.replace(b"/ok/", b"/hang/"))[0] is True
