# Driver for FastMCP's own client (`fastmcp`).
import os
import sys

from common import Changes, Options, drive, run
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from mcp import MCPError

options = Options(sys.argv[1:])


async def main():
    changes = Changes()
    if options.url:
        transport = StreamableHttpTransport(options.url, headers=options.headers)
    else:
        transport = StdioTransport(command="sh", args=["-c", f"exec {options.command}"], env=dict(os.environ))
    async with Client(transport, timeout=60, message_handler=changes.seen) as client:

        async def list_page(cursor):
            page = await client.list_tools_mcp(cursor=cursor)
            return page.tools, page.next_cursor

        await drive(options, list_page, client.call_tool_mcp, changes, MCPError)


run(main())
