"""A service with the OpenAI Agents SDK that starts a run for each event, one JSON object a line on standard
input: {"source": "email", "subject": "user:4711", "trigger": {"sender": "x@y.example"}, "prompt": "…"}.

Each run asks the gateway for a token of its own (POST /token) and carries it in its own headers. What the
model sees is the prompt; the label goes past it.
"""

import asyncio
import json
import os
import sys

import httpx
from agents import Agent, Runner
from agents.mcp import MCPServerStreamableHttp

URL = os.environ.get("SLUICEGATE_URL", "http://127.0.0.1:7400/mcp")
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
UNSIGNED_JSON = "urn:ietf:params:oauth:token-type:unsigned_json"


async def mint(event):
    """The headers of one run."""
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token_type": UNSIGNED_JSON,
        "subject_token": json.dumps({"sub": event["subject"], "roles": ["assistant"]}),
        "request_details": json.dumps({"src": [{"kind": event["source"], **event.get("trigger", {})}]}),
    }
    key = {"Authorization": f"Bearer {os.environ['SLUICEGATE_DISPATCHER_KEY']}"}
    async with httpx.AsyncClient() as http:
        answer = await http.post(URL.removesuffix("/mcp") + "/token", data=form, headers=key)
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def run(event):
    params = {"url": URL, "headers": await mint(event)}
    async with MCPServerStreamableHttp(params=params, name="sluicegate") as gateway:
        agent = Agent(name="assistant", model=os.environ.get("MODEL", "gpt-5-mini"), mcp_servers=[gateway])
        answer = await Runner.run(agent, event["prompt"])
        print(json.dumps({"source": event["source"], "answer": answer.final_output}), flush=True)


async def main():
    for line in sys.stdin:
        await run(json.loads(line))


asyncio.run(main())
