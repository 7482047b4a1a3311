#!/usr/bin/env python3
"""Reviews plans for a gateway: reviewer.py --key FILE [--rules FILE].

A request counts only with the signature that the gateway makes over its bytes (Standard Webhooks 1.0.0), and its answer
is signed in the same way and names the digest of the request: nobody else can say yes. What is asked holds no text of
the plan: tools, the lines that the operator wrote on them, and features of what each argument may be. So the rules look
at numbers and kinds; put your own, or a model, in the place of `review`.
"""

import argparse
import base64
import hashlib
import hmac
import json
import pathlib
import time
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY_BYTES_MAX = 256 * 1024
AGE_MAX_S = 300
RULES = {"calls_max": 8, "unknown_domains": "ask", "open_values": "agree"}
VERDICTS = ("agree", "ask", "deny")


def kinds(kind):
    """The kind of an argument, and of what it is made of."""
    yield kind
    for inner in [kind["element"]] if "element" in kind else kind.get("members", []):
        yield from kinds(inner)


def review(step, rules):
    """What is said of one step: a verdict, and the rule by which."""
    if (step["max_calls"] or 1) > rules["calls_max"]:
        return "deny", "too-many-calls"
    for kind in (one for argument in step["arguments"].values() for one in kinds(argument)):
        values = kind.get("values", [])
        if any(value.get("is_known_domain") is False for value in values) and rules["unknown_domains"] != "agree":
            return rules["unknown_domains"], "unknown-domain"
        if kind["kind"] in ("match", "range") and rules["open_values"] != "agree":
            return rules["open_values"], "open-value"
    return "agree", None


def answer(body, rules):
    """The answer to the request `body`: one verdict for each step, bound to exactly these bytes."""
    asked = json.loads(body)
    said = [(step["step"], *review(step, rules)) for step in asked["steps"]]
    steps = [{"step": step, "verdict": verdict} | ({"rule": rule} if rule else {}) for step, verdict, rule in said]
    digest = hashlib.sha256(body).hexdigest()
    return json.dumps({"v": 1, "id": asked["id"], "request": f"sha256:{digest}", "steps": steps}).encode()


class Handler(BaseHTTPRequestHandler):
    timeout = 30

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            return self.send(413, b"")
        body = self.rfile.read(int(length))
        if not self.is_genuine(body):
            return self.send(401, b"")
        self.send(200, answer(body, self.server.rules))

    def is_genuine(self, body):
        name, stamp = self.headers.get("webhook-id", ""), self.headers.get("webhook-timestamp", "")
        if not stamp.isdigit() or abs(time.time() - int(stamp)) > AGE_MAX_S:
            return False
        signatures = self.headers.get("webhook-signature", "").split(" ")
        expected = self.server.sign(name, stamp, body)
        return any(hmac.compare_digest(expected.encode(), one.encode()) for one in signatures)

    def send(self, status, body):
        name, stamp = self.headers.get("webhook-id", ""), str(int(time.time()))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 200:
            self.send_header("webhook-id", name)
            self.send_header("webhook-timestamp", stamp)
            self.send_header("webhook-signature", self.server.sign(name, stamp, body))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    def __init__(self, options):
        super().__init__((options.host, options.port), Handler)
        key = pathlib.Path(options.key).read_text(encoding="ascii").strip()
        self.key = base64.b64decode(key.removeprefix("whsec_"), validate=True)
        self.rules = RULES | (tomllib.loads(pathlib.Path(options.rules).read_text()) if options.rules else {})
        unknown = set(self.rules) - set(RULES)
        if unknown or any(self.rules[name] not in VERDICTS for name in ("unknown_domains", "open_values")):
            raise SystemExit(f"{options.rules}: it may hold {sorted(RULES)}, and verdicts are {VERDICTS}")

    def sign(self, name, stamp, body):
        signed = f"{name}.{stamp}.".encode() + body
        return "v1," + base64.b64encode(hmac.new(self.key, signed, hashlib.sha256).digest()).decode()


def main():
    parser = argparse.ArgumentParser(description="Reviews plans for a gateway.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7490)
    parser.add_argument("--key", required=True, help="a file with the signing key, whsec_…")
    parser.add_argument("--rules", help="a TOML file with rules")
    server = Server(parser.parse_args())
    print(f"listening on http://{server.server_address[0]}:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
