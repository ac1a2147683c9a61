"""Stands for the providers of push: `python -m bench.provider PORT`.

FCM with its token server, a push service of browsers that answers (/taken) and one that never does (/hangs). HTTP/1.1
with keep-alive; each answer takes its time. `GET /arrivals` gives, and forgets, when each ring had come in as a whole:
`[[call_id, seconds], ...]` on the machine's monotonic clock, which is also the load generator's.
"""

import asyncio
import sys
from time import perf_counter

import orjson
import uvloop

ANSWER_S = 0.05
"""About what FCM takes."""
TOKEN = orjson.dumps({"access_token": "bench", "token_type": "Bearer", "expires_in": 3_600})
TAKEN = orjson.dumps({"name": "projects/bench/messages/1"})


class Desk(asyncio.Protocol):
    """One connection: one request after the other. `arrivals` is everybody's."""

    def __init__(self, arrivals):
        self.arrivals = arrivals
        self.transport = None
        self.buffer = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        while request := take_request(self.buffer):
            path, body, self.buffer = request
            self.answer(path, body)

    def answer(self, path, body):
        if path == "/token":
            self.say(200, TOKEN)
        elif path == "/arrivals":
            self.say(200, orjson.dumps(self.arrivals))
            self.arrivals.clear()
        elif path.endswith("messages:send"):
            data = orjson.loads(body)["message"]["data"]
            if data["type"] == "call.ring":
                self.arrivals.append((data["call_id"], perf_counter()))
            self.say_later(200, TAKEN)
        elif path.startswith("/taken"):
            self.say_later(201)
        elif not path.startswith("/hangs"):
            self.say(404)

    def say_later(self, *answer):
        asyncio.get_running_loop().call_later(ANSWER_S, self.say, *answer)

    def say(self, status, body=b""):
        if not self.transport.is_closing():
            head = f"HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            self.transport.write(head.encode() + body)


def take_request(data):
    """(path, body, rest) of the first whole request in `data`; None while it is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].decode("latin-1").lower()
    start, at = end + 4, head.find("\r\ncontent-length:")
    length = int(head[at + 17 :].split("\r\n", 1)[0]) if at >= 0 else 0
    if len(data) < start + length:
        return None
    return data[:end].decode("latin-1").split(" ")[1], data[start : start + length], data[start + length :]


async def main(port):
    arrivals = []
    server = await asyncio.get_running_loop().create_server(lambda: Desk(arrivals), "127.0.0.1", port, backlog=4_096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
