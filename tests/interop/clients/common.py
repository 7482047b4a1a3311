# What the Python drivers share: command line, steps, output. `clients/common.mjs` is the same for TypeScript.
import asyncio
import json
import sys
import traceback


class Options:
    url = token = command = None

    def __init__(self, argv):
        argv = list(argv)
        while argv and argv[0].startswith("--"):
            name, value = argv.pop(0)[2:], argv.pop(0) if argv else None
            if name not in ("url", "token", "command") or value is None:
                usage(f"unknown option --{name}")
            setattr(self, name, value)
        if bool(self.url) == bool(self.command):
            usage("one of --url and --command is needed")
        match argv:
            case ["list"]:
                self.steps = '[["list"]]'
            case ["call", name, arguments]:
                self.steps = json.dumps([["call", name, json.loads(arguments)]])
            case ["session", steps]:
                self.steps = steps
            case _:
                usage("needs list, call NAME JSON or session STEPS")
        self.headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}


def usage(why):
    print(f"{why}; see README.md", file=sys.stderr)
    raise SystemExit(2)


def show(value):
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":")), flush=True)


def outcome(result):
    dumped = result.model_dump(mode="json", by_alias=True)
    text = [part["text"] for part in dumped["content"] if part["type"] == "text"]
    return {
        "isError": bool(dumped.get("isError")),
        "text": "\n".join(text),
        "structuredContent": dumped.get("structuredContent"),
        "meta": dumped.get("_meta"),
    }


async def steps(options):
    if options.steps != "-":
        for step in json.loads(options.steps):
            yield step
        return
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip():
            yield json.loads(line)


class Changes:
    """Counts `notifications/tools/list_changed`; give `seen` to the SDK as its message handler."""

    def __init__(self):
        self.event = asyncio.Event()

    async def seen(self, message):
        message = getattr(message, "root", message)
        if getattr(message, "method", None) == "notifications/tools/list_changed":
            self.event.set()

    async def wait(self, ms):
        try:
            await asyncio.wait_for(self.event.wait(), ms / 1000)
        except TimeoutError:
            return False
        self.event.clear()
        return True


async def drive(options, list_page, call, changes, wire_error, listen=None):
    """Runs the steps. `wire_error` is the SDK's exception for a JSON-RPC error; any other ends the run."""
    async for verb, *args in steps(options):
        try:
            match verb:
                case "list":
                    names, cursor = [], None
                    while True:
                        tools, cursor = await list_page(cursor)
                        names += [tool.name for tool in tools]
                        if cursor is None:
                            break
                    show(sorted(names))
                case "call":
                    show(outcome(await call(args[0], args[1])))
                case "listen" if listen:
                    show(await listen())
                case "changed":
                    show(await changes.wait(args[0]))
                case _:
                    usage(f"unknown step {verb}")
        except wire_error as error:
            show({"error": error.error.model_dump(mode="json", exclude_none=True)})


def run(main):
    try:
        asyncio.run(main)
    except Exception:
        traceback.print_exc()
        raise SystemExit(1)
