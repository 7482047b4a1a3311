#!/usr/bin/env python3
"""Starts an agent for each issue that is opened on GitHub: webhook.py --secret FILE --key FILE -- COMMAND …

A delivery counts only with the signature that GitHub makes over its bytes with the webhook's secret
(X-Hub-Signature-256). What it says of repository and sender is then GitHub's word; title and text are the
stranger's, and go to the command on standard input and nowhere else. The run's token comes from the
gateway's POST /token, and reaches the command as `sluicegate run` would hand it out: in a file of its own.
"""

import argparse
import collections
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY_BYTES_MAX = 25 * 1024 * 1024  # GitHub sends no larger ones
RUNS_MAX = 4
DELIVERIES_MAX = 10_000  # remembered, so that a repeated one does not start a second run
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
UNSIGNED_JSON = "urn:ietf:params:oauth:token-type:unsigned_json"


class Handler(BaseHTTPRequestHandler):
    timeout = 30

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            return self.answer(413)
        body = self.rfile.read(int(length))
        expected = "sha256=" + hmac.new(self.server.secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), self.headers.get("X-Hub-Signature-256", "").encode()):
            return self.answer(401)
        event, delivery = self.headers.get("X-GitHub-Event"), self.headers.get("X-GitHub-Delivery", "")
        payload = json.loads(body)
        if event != "issues" or payload.get("action") != "opened":
            return self.answer(204)
        if not self.server.take(delivery):
            return self.answer(200)
        try:
            token = self.server.mint(payload, delivery)
        except urllib.error.HTTPError as error:
            print(f"no run for {delivery}: {error.read().decode()}", file=sys.stderr)
            self.server.forget(delivery)
            return self.answer(502)
        except OSError as error:
            print(f"no run for {delivery}: {error}", file=sys.stderr)
            self.server.forget(delivery)
            return self.answer(503)
        threading.Thread(target=self.server.run, args=(token, payload["issue"])).start()
        self.answer(202)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(ThreadingHTTPServer):
    def __init__(self, options):
        super().__init__((options.host, options.port), Handler)
        self.options = options
        self.secret = pathlib.Path(options.secret).read_bytes().strip()
        self.key = pathlib.Path(options.key).read_text(encoding="ascii").strip()
        self.lock, self.slots = threading.Lock(), threading.BoundedSemaphore(RUNS_MAX)
        self.seen = collections.OrderedDict()

    def take(self, delivery):
        with self.lock:
            if delivery in self.seen:
                return False
            self.seen[delivery] = True
            if len(self.seen) > DELIVERIES_MAX:
                self.seen.popitem(last=False)
            return True

    def forget(self, delivery):
        with self.lock:
            self.seen.pop(delivery, None)

    def mint(self, payload, delivery):
        """A token for one run (RFC 8693), whose label is made of what GitHub vouches for."""
        source = {
            "kind": "webhook.github",
            "event": "issues.opened",
            "repository": payload["repository"]["full_name"],
            "sender": payload["sender"]["login"],
            "association": payload["issue"]["author_association"],
        }
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token_type": UNSIGNED_JSON,
            "subject_token": json.dumps({"sub": "svc-triage", "roles": ["triage"]}),
            "request_details": json.dumps({"src": [source], "goal": "triage_issue"}),
            "request_context": json.dumps({"delivery": delivery}),
        }
        url = self.options.gateway.removesuffix("/mcp") + "/token"
        request = urllib.request.Request(url, urllib.parse.urlencode(form).encode())
        request.add_header("Authorization", f"Bearer {self.key}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def run(self, token, issue):
        with self.slots, tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "token")
            file.touch(mode=0o600)
            file.write_text(token["access_token"], encoding="ascii")
            environment = dict(os.environ, SLUICEGATE_URL=self.options.gateway, SLUICEGATE_TOKEN_FILE=str(file))
            text = f"{issue['title']}\n\n{issue.get('body') or ''}\n"
            ended = subprocess.run(self.options.command, input=text.encode(), env=environment, check=False)
            print(f"run {token['txn']} ended with {ended.returncode}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description="Starts an agent for each issue that is opened on GitHub.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7480)
    parser.add_argument("--gateway", default="http://127.0.0.1:7400/mcp")
    parser.add_argument("--secret", required=True, help="a file with the webhook's secret")
    parser.add_argument("--key", required=True, help="a file with the dispatcher's key")
    parser.add_argument("command", nargs="+")
    server = Server(parser.parse_args())
    print(f"listening on http://{server.server_address[0]}:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
