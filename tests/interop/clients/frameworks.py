# Driver for the MCP side of agent frameworks, without a model: openai-agents or langchain-mcp-adapters.
import os
import sys
from contextlib import AsyncExitStack

from common import Changes, Options, drive, run
from mcp import McpError

framework, *argv = sys.argv[1:]
options = Options(argv)


class Page:
    def __init__(self, name):
        self.name = name


async def openai_agents(stack):
    from agents.mcp import MCPServerStdio, MCPServerStreamableHttp

    if options.url:
        params = {"url": options.url, "headers": options.headers}
        server = MCPServerStreamableHttp(params=params, client_session_timeout_seconds=60)
    else:
        params = {"command": "sh", "args": ["-c", f"exec {options.command}"], "env": dict(os.environ)}
        server = MCPServerStdio(params=params, client_session_timeout_seconds=60)
    await stack.enter_async_context(server)

    async def list_page(_):
        return await server.list_tools(), None

    return list_page, server.call_tool


async def langchain(stack):
    from langchain_mcp_adapters.client import MultiServerMCPClient
    from langchain_core.tools import ToolException
    from langchain_mcp_adapters.tools import load_mcp_tools

    if options.url:
        where = {"transport": "streamable_http", "url": options.url, "headers": options.headers}
    else:
        where = {"transport": "stdio", "command": "sh", "args": ["-c", f"exec {options.command}"], "env": dict(os.environ)}
    session = await stack.enter_async_context(MultiServerMCPClient({"gate": where}).session("gate"))
    tools = {tool.name: tool for tool in await load_mcp_tools(session)}

    async def list_page(_):
        return [Page(name) for name in tools], None

    async def call(name, arguments):
        if name in tools:
            # That the framework takes the answer is the point; it makes an exception of an error.
            try:
                await tools[name].ainvoke(arguments)
            except ToolException:
                pass
        return await session.call_tool(name, arguments)

    return list_page, call


async def main():
    async with AsyncExitStack() as stack:
        connect = openai_agents if framework == "openai-agents" else langchain
        list_page, call = await connect(stack)
        await drive(options, list_page, call, Changes(), McpError)


run(main())
