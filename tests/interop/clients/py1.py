# Driver for the Python SDK 1.x (`mcp`).
import os
import sys
from contextlib import AsyncExitStack
from datetime import timedelta

from common import Changes, Options, drive, run
from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.types import Implementation, PaginatedRequestParams

options = Options(sys.argv[1:])


async def main():
    changes = Changes()
    async with AsyncExitStack() as stack:
        if options.url:
            http = await stack.enter_async_context(create_mcp_http_client(headers=options.headers))
            transport = streamable_http_client(options.url, http_client=http)
        else:
            command = StdioServerParameters(command="sh", args=["-c", f"exec {options.command}"], env=dict(os.environ))
            transport = stdio_client(command)
        read, write, *_ = await stack.enter_async_context(transport)
        session = await stack.enter_async_context(
            ClientSession(
                read,
                write,
                read_timeout_seconds=timedelta(seconds=60),
                message_handler=changes.seen,
                client_info=Implementation(name="interop-py1", version="1.0.0"),
            )
        )
        await session.initialize()

        async def list_page(cursor):
            page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor) if cursor else None)
            return page.tools, page.nextCursor

        await drive(options, list_page, session.call_tool, changes, McpError)


run(main())
