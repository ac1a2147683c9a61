"""What the tests of this folder need is installed once, and then kept under build/."""

import asyncio

import pytest

from tests.fixtures.system import OUTSIDE, node_modules, program, python_tools

RUN_S = 120


async def ran(*command, folder=None, said=None):
    """What a program printed; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(RUN_S):
            told, _nothing = await process.communicate(said)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, told.decode()[-4000:]
    return told.decode()


@pytest.fixture(scope="package")
def node():
    """`node` and the folder that has the packages."""
    return program("node"), node_modules(OUTSIDE)


@pytest.fixture(scope="package")
def tools():
    """The Python that has the generators of clients."""
    return python_tools()
