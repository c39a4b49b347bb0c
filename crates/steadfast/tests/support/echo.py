"""A WebSocket server that says everything back.

usage: echo.py PORT

GET /healthz is answered with 200, without an upgrade.
"""

import asyncio
import logging
import sys

from websockets.asyncio.server import serve

# What the cases break on purpose is no news.
logging.disable(logging.CRITICAL)


async def echo(connection):
    async for message in connection:
        await connection.send(message)


def health(connection, request):
    return connection.respond(200, "well\n") if request.path == "/healthz" else None


async def main():
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), max_size=None, process_request=health) as server:
        await server.serve_forever()


asyncio.run(main())
