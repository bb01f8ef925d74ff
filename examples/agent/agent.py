"""A tool-using agent as a program: a loop over a model's decisions, and a switch over tools."""

from __future__ import annotations

from typing import Any

from tools import calculate, letters, lookup

import alkahest as af
from alkahest import Bool, Doc, Enum, Float, Str

MAX_STEPS = 8

DECISION = {
    "action": Enum("calculate", "lookup", "letters", "answer") @ Doc("a tool, or answer when you know"),
    "input": Str(max=500) @ Doc("what the tool gets; the final answer for `answer`"),
    "confidence": Float(min=0, max=1) @ Doc("how sure you are that this is the right step"),
}
REVIEW = {"good": Bool()}

ASKED = """\
Question: {}
Notes so far:
{}"""
SUPPORT = 'Is the answer "{answer}" to "{question}" supported by these notes?\n{notes}'
BREVITY = 'Is "{answer}" free of needless words?'


def _message(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def _tool(run: Any) -> af.IR:
    """Return a branch of the switch: what a tool adds to the notes, and no answer yet."""

    def step(text: Any) -> Any:
        return {"note": af.format("- {}({}) is {}\n", run.__name__, text, run(text)), "answer": ""}

    return af.trace(step)("")


def make_agent(model: str) -> af.IR:
    """Return the program `(instructions, question)` -> answer and notes, for a model's name."""
    branches = {tool.__name__: _tool(tool) for tool in (calculate, lookup, letters)}
    branches["answer"] = af.trace(lambda text: {"note": "", "answer": text})("")

    def undecided(state: Any) -> Any:
        return state["answer"] == ""

    def step(state: Any) -> Any:
        with af.tag("decide"):
            asked = af.format(ASKED, state["question"], state["notes"])
            messages = [_message("system", state["instructions"]), _message("user", asked)]
            decision = af.lm_schema_call(messages, model=model, schema=DECISION, repairs=1)
            af.factor(decision["confidence"], name="confidence")
        done = af.switch(decision["action"], branches, decision["input"])
        af.checkpoint(decision["action"], key="action", collection="steps")
        return {**state, "notes": state["notes"] + done["note"], "answer": done["answer"]}

    def agent(instructions: Any, question: Any) -> Any:
        start = {"instructions": instructions, "question": question, "notes": "", "answer": ""}
        state = {key: "" for key in start}
        found = af.while_loop(af.trace(undecided)(state), af.trace(step)(state), start, max_iters=MAX_STEPS)
        return {"answer": found["answer"], "notes": found["notes"]}

    return af.trace(agent)("", "")


def make_reviewed(agent: af.IR, model: str) -> af.IR:
    """Return the agent with two reviews of its answer, which do not need each other; each is a factor."""

    def good(asked: Any, name: str) -> Any:
        found = af.lm_schema_call([_message("user", asked)], model=model, schema=REVIEW)["good"]
        af.factor(af.where(found, 1.0, 0.5), name=name)
        return found

    def reviewed(instructions: Any, question: Any) -> Any:
        found = agent.call(instructions, question)
        supported = good(af.format(SUPPORT, question=question, **found), "supported")
        brief = good(af.format(BREVITY, answer=found["answer"]), "brief")
        return {"answer": found["answer"], "supported": supported, "brief": brief}

    return af.trace(reviewed)("", "")


def make_rewriter(model: str) -> af.IR:
    """Return the program `(instructions, advice)` -> better instructions."""

    def rewrite(instructions: Any, advice: Any) -> Any:
        asked = af.format(REWRITE, instructions=instructions, advice=advice)
        return af.lm_call([_message("user", asked)], model=model)

    return af.trace(rewrite)("", "")


REWRITE = """\
These are the instructions of an assistant that has the tools calculate(formula), lookup(element) and letters(text):

<instructions>
{instructions}
</instructions>

This is advice on them, one piece a line, each with how often it was given:

<advice>
{advice}
</advice>

Write better instructions that follow the most frequent advice. Reply with the instructions alone."""
