# Driver for the Python SDK 2.x (`mcp`): auto (its default), legacy (handshake) or modern (2026-07-28, adopted without asking).
import os
import sys
from contextlib import AsyncExitStack

from common import Changes, Options, drive, run
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.types import Implementation

era, *argv = sys.argv[1:]
options = Options(argv)


async def main():
    changes = Changes()
    async with AsyncExitStack() as stack:
        if options.url:
            http = await stack.enter_async_context(create_mcp_http_client(headers=options.headers))
            server = streamable_http_client(options.url, http_client=http)
        else:
            server = StdioServerParameters(command="sh", args=["-c", f"exec {options.command}"], env=dict(os.environ))
        client = await stack.enter_async_context(
            Client(
                server,
                mode="2026-07-28" if era == "modern" else era,
                read_timeout_seconds=60,
                message_handler=changes.seen,
                client_info=Implementation(name=f"interop-py2-{era}", version="1.0.0"),
            )
        )

        async def list_page(cursor):
            page = await client.list_tools(cursor=cursor)
            return page.tools, page.next_cursor

        async def listen():
            await stack.enter_async_context(client.listen(tools_list_changed=True))
            return True

        await drive(options, list_page, client.call_tool, changes, MCPError, listen)


run(main())
