"""Run the agent: `python examples/agent/run.py --help`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import scripted
from agent import make_agent, make_reviewed, make_rewriter
from improve import Improver, Question

import alkahest as af
from alkahest.extend import zeroof

HERE = Path(__file__).parent
FIRST = "You answer questions about chemistry, numbers and words."
GOOD = (
    "You answer questions. Please look up elements. Please calculate sums with the tool. Please count letters with "
    "the tool. Please give the unit, such as g/mol."
)


class Example:
    """The programs, traced once, and the questions."""

    def __init__(self, options: argparse.Namespace) -> None:
        rows = json.loads(options.questions.read_text(encoding="utf-8"))
        self.questions = [Question(**row) for row in rows]
        self.rounds: int = options.rounds
        self.model: str = options.model
        self.agent = make_agent(self.model)
        self.reviewed = make_reviewed(self.agent, self.model)

    def program(self) -> None:
        """Print the program."""
        print(self.agent)

    def ask(self) -> None:
        """Ask one question, and show the steps that a checkpoint marks."""
        first = self.questions[0]
        with af.collect(collection="steps") as seen:
            found = self.agent.call(GOOD, first.question)
        print(f"{first.question}\n{found['notes']}answer: {found['answer']}")
        print("steps:", " → ".join(seen["action"]))

    def batch(self) -> None:
        """Ask all questions at once, and show how far they are."""
        many = af.batch(self.agent, in_axes=(False, True))
        with af.progress(_show):
            found = many.call(GOOD, [q.question for q in self.questions])
        for q, answer in zip(self.questions, found["answer"], strict=True):
            print(f"{'right' if answer == q.expected else 'wrong'}: {q.question} {answer}")

    def sched(self) -> None:
        """Run the reviewed agent by its data edges: the two reviews wait for the answer, not for each other."""
        program = af.sched(self.reviewed)
        print(program)
        print(asyncio.run(program.acall(GOOD, self.questions[0].question)))

    def feedback(self) -> None:
        """Differentiate: feedback on one answer becomes feedback on the instructions."""
        pulled = af.pullback(self.agent)
        flaw = {"answer": f'The answer to "{self.questions[0].question}" needs more digits.', "notes": zeroof("")}
        found, (on_instructions, _) = pulled.call((FIRST, self.questions[0].question), flaw)
        print(f"answer: {found['answer']}\nfeedback on the instructions: {on_instructions}")

    def score(self) -> None:
        """Weigh each question's path: the product of the confidence of its steps and of its reviews."""
        scored = af.batch(af.weighted(self.reviewed), in_axes=(False, True))
        found, weights = scored.call(GOOD, [q.question for q in self.questions])
        for weight, q, answer in sorted(zip(weights, self.questions, found["answer"], strict=True), reverse=True):
            print(f"{weight:.3f} {q.question} {answer}")

    def improve(self) -> None:
        """Let feedback rewrite the instructions until all questions are answered rightly."""
        improver = Improver(self.agent, make_rewriter(self.model))
        with af.progress(_show):
            rounds = improver.improve(FIRST, self.questions, self.rounds)
        for k, (instructions, right, advice) in enumerate(rounds):
            print(f"round {k}: {right} of {len(self.questions)} right\n  instructions: {instructions}")
            for text, n in advice.most_common(2):
                print(f"  advice ({n}×): {text}")


def _show(done: int, total: int) -> None:
    if done < total and not sys.stderr.isatty():
        return
    print(f"\r{done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


PARTS: dict[str, Callable[[Example], None]] = {
    "program": Example.program,
    "ask": Example.ask,
    "batch": Example.batch,
    "sched": Example.sched,
    "feedback": Example.feedback,
    "score": Example.score,
    "improve": Example.improve,
}


def main() -> None:
    """Run the parts that are asked for."""
    listed = "\n".join(f"  {name:10}{str(part.__doc__).rstrip('.')}" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(
        description="A tool-using agent as a program, and what transforms do with it.",
        epilog=f"parts:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="part", help="which parts to run, in this order (default: all)")
    parser.add_argument("--model", default="local/agent", help="any name that LiteLLM knows (default: %(default)s)")
    parser.add_argument("--questions", type=Path, default=HERE / "questions.json", help="a file like questions.json")
    parser.add_argument("--rounds", type=int, default=6, help="rounds of improving at most (default: %(default)s)")
    parser.add_argument("--latency", type=float, default=0.01, help="seconds a scripted answer takes")
    parser.add_argument("--budget", type=int, default=5000, help="model calls at most (default: %(default)s)")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    with (
        af.local_model("agent", scripted.answer, latency=options.latency),
        af.lm_client(max_concurrency=32, timeout=60, budget=af.Budget(calls=options.budget)) as client,
    ):
        try:
            example = Example(options)
            for name in options.parts or PARTS:
                print(f"== {name}")
                PARTS[name](example)
                print()
        except af.AlkahestError as error:
            sys.exit(f"run.py: {error}")
    print(f"{client.usage.calls} model calls, {client.usage.prompt_tokens + client.usage.completion_tokens} tokens")


if __name__ == "__main__":
    main()
