"""Improving a prompt by feedback: run on all questions, criticise, pull the critique back, rewrite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import alkahest as af
from alkahest.extend import StrAVal, is_zero


class Question(NamedTuple):
    """A question and its right answer."""

    question: str
    expected: str


class Round(NamedTuple):
    """One round: the instructions, how many questions they answer rightly, and the advice that came back."""

    instructions: str
    right: int
    advice: Counter[str]


def critique(question: Question, answer: str) -> Any:
    """Return feedback on an answer; nothing, a symbolic zero, on a right one, so that no model is asked about it."""
    if answer.strip().rstrip(".") == question.expected:
        return af.Zero(StrAVal())
    return f'To "{question.question}" the answer was {answer!r}; right is {question.expected!r}.'


class Improver:
    """The programs that improving needs, each made once."""

    def __init__(self, agent: af.IR, rewriter: af.IR) -> None:
        answer = af.trace(lambda instructions, question: agent.call(instructions, question)["answer"])("", "")
        self.answers = af.batch(answer, in_axes=(False, True))
        # Instructions are the same for all items, their feedback is one for each.
        self.feedback = af.batch(af.pullback(answer), in_axes=((False, True), True))
        self.rewriter = rewriter

    def round(self, instructions: str, questions: Sequence[Question]) -> Round:
        """Return how the instructions do, and the advice on them."""
        asked = [q.question for q in questions]
        answers = self.answers.call(instructions, asked)
        flaws = [critique(q, a) for q, a in zip(questions, answers, strict=True)]
        right = sum(is_zero(flaw) for flaw in flaws)
        if right == len(questions):
            return Round(instructions, right, Counter())
        _, (on_instructions, _) = self.feedback.call((instructions, asked), flaws)
        # Feedback from several steps of one item is joined by line breaks.
        advice = Counter(line for text in on_instructions if not is_zero(text) for line in set(text.split("\n")))
        return Round(instructions, right, advice)

    def rewrite(self, found: Round) -> str:
        """Return the next instructions."""
        told = [f"{n} time{'s' * (n > 1)}: {text}" for text, n in found.advice.most_common(10)]
        return self.rewriter.call(found.instructions, "\n".join(told))

    def improve(self, instructions: str, questions: Sequence[Question], rounds: int) -> list[Round]:
        """Return the rounds, at most so many, until all questions are answered rightly."""
        done: list[Round] = []
        with af.memoize():  # the forward half of the feedback repeats the calls that gave the answers
            for _ in range(rounds):
                done.append(self.round(instructions, questions))
                if done[-1].right == len(questions):
                    break
                instructions = self.rewrite(done[-1])
        return done
