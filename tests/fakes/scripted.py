"""An HTTP server that answers by a script: for what a real service does only on a bad day."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class FakeServer:
    """`script` holds raw responses, `None` for hanging up without one; `requests` are the first lines that came."""

    script: list
    url: str = ""
    requests: list = field(default_factory=list)
    bodies: list = field(default_factory=list)

    async def answer(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length")
                    ),
                    0,
                )
                self.bodies.append(await reader.readexactly(length))
                self.requests.append(head.decode())
                response = self.script.pop(0)
                if response is None:
                    break
                writer.write(response)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def response(status, body=b"{}", *headers, kind="application/json"):
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", f"content-type: {kind}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def scripted(*script):
    fake = FakeServer(list(script))
    server = await asyncio.start_server(fake.answer, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()
        await server.wait_closed()
