"""What an answer promises of RTCP."""

import re

from tests.media.worker.recorded import answered, offer


def test_reduced_size_rtcp_is_answered_only_where_it_is_offered():
    assert (
        answered(offer("chrome_sub")).sdp.count("a=rtcp-rsize\r\n") == offer("chrome_sub").count("a=rtcp-rsize\r\n") > 0
    )
    assert "a=rtcp-rsize" not in answered(offer("chrome_sub").replace("a=rtcp-rsize\r\n", "")).sdp


def test_retransmission_is_not_promised_where_it_would_need_rtx_and_there_is_none():
    """Of a player without RTX the worker takes NACKs only if it can send the very same packet again."""
    text = offer("gstreamer").replace("a=sendonly", "a=recvonly").replace("a=sendrecv", "a=recvonly")
    bare = re.sub(r"a=(rtpmap|fmtp):97 .*\r\n", "", text)
    plain = re.sub(r"a=extmap:.*\r\n", "", bare)
    assert "a=rtcp-fb:96 nack\r\n" in answered(text).sdp
    assert "a=rtcp-fb:96 nack\r\n" not in answered(bare).sdp
    assert "a=rtcp-fb:96 nack pli\r\n" in answered(bare).sdp
    assert "a=rtcp-fb:96 nack\r\n" in answered(plain).sdp
    assert "a=rtcp-fb:96 nack\r\n" in answered(bare.replace("a=recvonly", "a=sendonly")).sdp
