"""The example of an agent runs as its page says, and does what it says."""

import importlib
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
AGENT = ROOT / "examples" / "agent"
QUESTIONS = json.loads((AGENT / "questions.json").read_text(encoding="utf-8"))


def start(*arguments, **environment):
    """Return the command, carried out."""
    return subprocess.run(
        [sys.executable, str(AGENT / "run.py"), *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        check=False,
    )


def run(*arguments):
    """Return what the command printed on stdout and stderr."""
    done = start("--latency", "0", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_help_lists_every_part():
    out, _ = run("--help")
    for part in ("program", "ask", "batch", "sched", "feedback", "score", "improve"):
        assert re.search(rf"^  {part} ", out, re.MULTILINE)


def test_an_unknown_part_is_refused():
    done = start("fly")
    assert done.returncode == 2
    assert "there is no part fly" in done.stderr


def test_the_agent_uses_its_tools():
    out, _ = run("ask")
    # 2 × 1.008 + 15.999, from the atomic weights of the data file.
    assert "answer: 18.015 g/mol" in out
    assert "steps: lookup → lookup → calculate → answer" in out


def test_a_batch_answers_every_question_and_shows_its_progress():
    out, err = run("batch")
    assert out.count("right: ") == len(QUESTIONS)
    assert "wrong: " not in out
    assert err.endswith(f"{len(QUESTIONS)} of {len(QUESTIONS)}\n")


def test_the_reviews_stand_side_by_side_in_the_schedule():
    out, _ = run("sched")
    program = out.split("\n@1")[0]
    (stage,) = [s for s in program.split("  gather:\n") if s.count("= lm_schema_call") == 2]
    assert "factor" not in stage
    assert "{'answer': '18.015 g/mol', 'supported': True, 'brief': True}" in out


def test_feedback_on_the_answer_reaches_the_instructions():
    out, _ = run("feedback")
    assert "feedback on the instructions: Tell it to look up elements." in out


def test_a_path_weighs_the_product_of_its_factors():
    out, _ = run("score")
    weights = {q: float(w) for w, q in re.findall(r"^(0\.\d+) (.*\?)", out, re.MULTILINE)}
    assert len(weights) == len(QUESTIONS)
    # A step of confidence 0.95 for each tool and for the answer, and two good reviews.
    assert weights["What is 17 * 23 + 4?"] == pytest.approx(0.95**2, abs=5e-4)
    assert weights["What is the molar mass of water, H2O?"] == pytest.approx(0.95**4, abs=5e-4)


def test_feedback_improves_the_instructions():
    out, _ = run("improve")
    right = [int(n) for n in re.findall(r"^round \d+: (\d+) of", out, re.MULTILINE)]
    assert right[0] == 0
    assert all(a < b for a, b in pairwise(right))
    assert right[-1] == len(QUESTIONS)


def test_the_budget_holds():
    done = start("batch", "--budget", "5")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "the budget of 5 calls is used up" in done.stderr


class Server(BaseHTTPRequestHandler):
    """An OpenAI-compatible server whose model is the example's script."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = self.server.answer(request["messages"])
        message = {"role": "assistant", "content": content if isinstance(content, str) else json.dumps(content)}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        answer = {"id": "1", "object": "chat.completion", "created": 0, "model": request["model"], "usage": usage}
        body = json.dumps({**answer, "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


def test_it_runs_with_a_model_behind_http(monkeypatch):
    if find_spec("litellm") is None:
        pytest.skip("LiteLLM, the extra `lm`, is not installed")
    monkeypatch.syspath_prepend(str(AGENT))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.answer = importlib.import_module("scripted").answer
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/v1"
        arguments = ("ask", "batch", "--model", "openai/scripted")
        done = start(*arguments, OPENAI_API_BASE=address, OPENAI_API_KEY="none")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert done.returncode == 0, done.stderr
    assert "answer: 18.015 g/mol" in done.stdout
    assert done.stdout.count("right: ") == len(QUESTIONS)
    # 4 calls for the first question alone; then 4 for each of four molar masses, and 2 for each of the eight others.
    assert "36 model calls, 360 tokens" in done.stdout


def test_the_examples_of_the_tools_run():
    done = subprocess.run(
        [sys.executable, "-m", "doctest", str(AGENT / "tools.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_expected_answers_follow_from_the_data():
    elements = json.loads((AGENT / "elements.json").read_text(encoding="utf-8"))
    weights = {facts["symbol"]: facts["atomic weight"] for facts in elements.values()}
    expected = {row["question"]: row["expected"] for row in QUESTIONS}
    masses = {q: e for q, e in expected.items() if "molar mass" in q}
    assert masses
    for question, answer in masses.items():
        formula = re.search(r", (\w+)\?", question)[1]
        mass = sum(weights[s] * int(n or 1) for s, n in re.findall(r"([A-Z][a-z]?)(\d*)", formula))
        assert answer == f"{mass:.9g} g/mol"
