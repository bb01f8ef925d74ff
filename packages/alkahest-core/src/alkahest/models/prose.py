"""Sentences made from a text: what `local/template` answers."""

from __future__ import annotations

import hashlib
import re

WORD = re.compile(r"[^\W\d_][\w'-]*")
COMMON = frozenset(
    "a about above after again all also an and any are as at be been before being below between both but by can "
    "could did do does down each few for from further give given had has have he her here him his how i if in input "
    "into is it its just let like list make me more most my no nor not now of off on once one only or other our out "
    "output over own please same say she should so some such tell than that the their them then there these they "
    "this those through to too under until up use user very want was we were what when where which while who why "
    "will with would write you your".split()
)
CRITICAL = re.compile(r"\b(critique|critici[sz]e|feedback|improve|review|revise)\b", re.IGNORECASE)
OPENINGS = (
    "{0} matters here because of {1}.",
    "The main point is {0}, together with {1}.",
    "{0} and {1} belong together.",
    "In short: {0}, seen from {1}.",
)
CLOSINGS = (
    "Keep {2} in mind as well.",
    "What follows from it concerns {2}.",
    "For more, look at {2}.",
    "An example would be {2}.",
)
ADVICE = (
    "Say more precisely what {0} means for {1}.",
    "Give an example of {0}, and say less about {1}.",
    "Put {0} first and explain how it leads to {1}.",
    "State what is asked about {0}, and leave {1} out.",
)


def digest(*parts: str) -> int:
    """Return a number that depends on all of the texts, the same in every process."""
    joined = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(joined).digest()[:8], "big")


def keywords(text: str) -> list[str]:
    """Return the words of a text that are not among the commonest of English, each once, in order."""
    words: dict[str, str] = {}
    for word in WORD.findall(text):
        if word.lower() not in COMMON:
            words.setdefault(word.lower(), word)
    return list(words.values())


def prose(text: str) -> str:
    """Return two sentences about the text's words, or one of advice where it asks for criticism.

    >>> prose("Explain gravity to children.") == prose("Explain gravity to children.")
    True
    """
    seed = digest(text)
    critical = bool(CRITICAL.search(text))
    words = [word for word in keywords(text) if not (critical and CRITICAL.fullmatch(word))]
    ranked = sorted(words, key=lambda word: (len(word) < 5, digest(text, word)))
    chosen = [*ranked[:3], "the question", "its purpose", "the answer"]
    if critical:
        return _sentence(ADVICE[seed % len(ADVICE)], chosen)
    opening = _sentence(OPENINGS[seed % len(OPENINGS)], chosen)
    return f"{opening} {_sentence(CLOSINGS[seed // 16 % len(CLOSINGS)], chosen)}"


def _sentence(frame: str, words: list[str]) -> str:
    text = frame.format(*words)
    return text[0].upper() + text[1:]
