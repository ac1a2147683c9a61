"""A transaction pooler as far as LISTEN can tell: everything goes through, notifications do not."""

import asyncio
import struct
from contextlib import asynccontextmanager, suppress

SSL_REQUEST = 80877103
NOTIFICATION = b"A"


@asynccontextmanager
async def fake_pooler(socket_path):
    """Serve on a free port in front of a PostgreSQL's unix socket; yields the port."""
    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            server_reader, server_writer = await asyncio.open_unix_connection(socket_path)
            async with asyncio.TaskGroup() as group:
                group.create_task(_to_server(reader, writer, server_writer))
                group.create_task(_to_client(server_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _to_server(reader, writer, server_writer):
    head = await reader.readexactly(8)
    if struct.unpack("!ii", head)[1] == SSL_REQUEST:
        writer.write(b"N")
    else:
        server_writer.write(head)
    while data := await reader.read(65536):
        server_writer.write(data)
    server_writer.close()


async def _to_client(server_reader, writer):
    while True:
        kind = await server_reader.readexactly(1)
        size = await server_reader.readexactly(4)
        body = await server_reader.readexactly(struct.unpack("!i", size)[0] - 4)
        if kind != NOTIFICATION:
            writer.write(kind + size + body)
