"""Providers to test with: counting ones in the process, and an OpenAI-compatible server on the loopback address."""

import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from alkahest.models import retrying


class Counting:
    """A provider that counts how many calls are under way, and answers as told.

    `faults` are raised by the first calls, in order. With `gate`, calls wait until so many are under way at once.
    """

    def __init__(self, answer="fine", *, faults=(), latency=0.0, gate=0, usage=(3, 5)):
        self.answer, self.latency, self.gate, self.usage = answer, latency, gate, usage
        self.faults = list(faults)
        self.lock = threading.Lock()
        self.under_way = self.peak = 0
        self.requests = []
        self.all_here = threading.Event()

    def _begin(self, request):
        with self.lock:
            self.requests.append(request)
            self.under_way += 1
            self.peak = max(self.peak, self.under_way)
            if self.under_way >= self.gate:
                self.all_here.set()
            return self.faults.pop(0) if self.faults else None

    def _end(self):
        with self.lock:
            self.under_way -= 1

    def _response(self, fault):
        if fault is not None:
            raise fault
        usage = self.usage and SimpleNamespace(prompt_tokens=self.usage[0], completion_tokens=self.usage[1])
        return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=self.answer))], usage=usage)

    def completion(self, **request):
        fault = self._begin(request)
        try:
            if self.gate:
                assert self.all_here.wait(30)
            time.sleep(self.latency)
        finally:
            self._end()
        return self._response(fault)

    async def acompletion(self, **request):
        fault = self._begin(request)
        try:
            while self.gate and not self.all_here.is_set():
                await asyncio.sleep(0.001)
            await asyncio.sleep(self.latency)
        finally:
            self._end()
        return self._response(fault)


@pytest.fixture
def counting():
    return Counting


@pytest.fixture
def waits(monkeypatch):
    """Return the list of the waits between attempts, none of which is really waited."""
    waited = []

    async def apause(seconds):
        waited.append(seconds)

    monkeypatch.setattr(retrying, "pause", waited.append)
    monkeypatch.setattr(retrying, "apause", apause)
    return waited


@pytest.fixture(params=["sync", "async"])
def ask(request):
    """Return `ask(client, text, model)`, through `complete` or through `acomplete` in a loop of its own."""

    def ask(client, text="hi", model="m", **options):
        messages = [{"role": "user", "content": text}]
        if request.param == "sync":
            return client.complete(messages, model, **options)
        return asyncio.run(client.acomplete(messages, model, **options))

    return ask


class Server:
    """A server of chat completions; `faults` are functions of the handler which serve the first requests instead."""

    def __init__(self):
        self.requests = []
        self.faults = []
        self.content = "hello"
        self.released = threading.Event()
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with outer.lock:
                    outer.requests.append(SimpleNamespace(path=self.path, body=body, headers=headers))
                    fault = outer.faults.pop(0) if outer.faults else Server.answer
                fault(outer, self, body)

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        self.base = f"http://127.0.0.1:{self.http.server_port}/v1"

    def close(self):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    @staticmethod
    def send(handler, status, text, **headers):
        data = text.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    def answer(self, handler, body):
        message = {"role": "assistant", "content": self.content}
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        head = {"id": "c", "object": "chat.completion", "created": 1, "model": body["model"]}
        self.send(handler, 200, json.dumps({**head, "choices": choices, "usage": usage}))

    @staticmethod
    def status(code, **headers):
        """Return a fault that answers with an HTTP error."""
        return lambda server, handler, body: Server.send(
            handler, code, json.dumps({"error": {"message": f"fault {code}", "type": "test"}}), **headers
        )

    @staticmethod
    def truncated(server, handler, body):
        """Answer with half of a JSON body."""
        Server.send(handler, 200, '{"id": "c", "choices": [{"index": 0, "mess')

    @staticmethod
    def hang(server, handler, body):
        """Answer nothing until the test ends."""
        server.released.wait(60)
        handler.close_connection = True


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()
