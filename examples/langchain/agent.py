"""A LangChain agent behind the gateway, started by `sluicegate run`: agent.py PROMPT.

The token is read anew for each request, because `run` renews it.
"""

import asyncio
import os
import pathlib
import sys

import httpx
from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient


class RunToken(httpx.Auth):
    def auth_flow(self, request):
        token = pathlib.Path(os.environ["SLUICEGATE_TOKEN_FILE"]).read_text(encoding="ascii").strip()
        request.headers["Authorization"] = f"Bearer {token}"
        yield request


async def main(prompt):
    gateway = {"transport": "streamable_http", "url": os.environ["SLUICEGATE_URL"], "auth": RunToken()}
    client = MultiServerMCPClient({"sluicegate": gateway}, handle_tool_errors=True)
    agent = create_agent(os.environ.get("MODEL", "openai:gpt-5-mini"), await client.get_tools())
    answer = await agent.ainvoke({"messages": [{"role": "user", "content": prompt}]})
    print(answer["messages"][-1].content)


asyncio.run(main(sys.argv[1]))
