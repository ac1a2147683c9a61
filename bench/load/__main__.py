"""`python -m bench.load KIND`: the configuration is the first line of the input, one command on each line after it.

Both ways one JSON document on a line. Commands: `{"mode": "closed", "seconds"}`, `{"mode": "offered", "rate",
"seconds"}` and whatever else the kind offers; the input's end closes everything.
"""

import asyncio
import importlib
import resource
import sys

import orjson
import uvloop

from bench.load import pace

KINDS = {
    "rest": "bench.load.rest",
    "transitions": "bench.load.transitions",
    "socket": "bench.load.sockets",
    "idle": "bench.load.idle",
    "pushed": "bench.load.pushed",
    "receiver": "bench.load.receiver",
    "reader": "bench.load.reader",
    "watching": "bench.load.watching",
    "ejabberd": "bench.load.xmpp",
    "kamailio": "bench.load.sip",
    "synapse": "bench.load.matrix",
}


def tell(document):
    sys.stdout.buffer.write(orjson.dumps(document) + b"\n")
    sys.stdout.buffer.flush()


async def lines():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    while line := await reader.readline():
        yield orjson.loads(line)


def own_cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def obey(crowd, command):
    mode = command.pop("mode")
    before = own_cpu()
    if mode == "closed":
        answer = await pace.closed(crowd.pairs, **command)
    elif mode == "offered":
        answer = await pace.offered(crowd.pairs, **command)
    else:
        answer = await getattr(crowd, f"do_{mode}")(**command)
    return {**answer, "load_cpu_s": own_cpu() - before}


async def main(kind):
    module = importlib.import_module(KINDS[kind])
    crowd = None
    async for line in lines():
        try:
            if crowd is None:
                crowd = await module.gather(line)
                tell({"ready": True})
            else:
                tell(await obey(crowd, line))
        except Exception as error:  # noqa: BLE001 - told to the bench, which ends the measurement
            tell({"error": f"{type(error).__name__}: {error}"})
            return
    if crowd:
        await crowd.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
