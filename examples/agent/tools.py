"""The agent's tools: primitives that look into a text, which a traced function cannot.

Two ways to make one. `calculate` is declared by `rules`, as the built-in primitives are, and says what feedback on
a result means for the formula. `lookup` and `letters` are ordinary functions under `custom`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import alkahest as af
from alkahest.extend import Prim, StrAVal, rules

ELEMENTS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("elements.json").read_text(encoding="utf-8"))


def _calculate(formula: str) -> str:
    """Return the value of a formula in nine digits, or what is wrong with it: the model reads that and tries again."""
    try:
        value = af.eval_expr(af.parse(formula, af.ExprPool()), {})
    except af.AlkahestError as error:
        return f"error: {error.message}"
    return f"{value:.9g}"


def _calculate_forward(formula: str) -> Any:
    out = calculate_p.bind(formula)
    return out, (formula, out)


def _calculate_backward(in_tree: Any) -> str:
    """Turn feedback on a result into feedback on the formula."""
    (formula, out), feedback = in_tree
    return f"{formula} gave {out}. {feedback}"


calculate_p = rules(
    Prim("calculate"),
    impl=_calculate,
    abstract=lambda formula: StrAVal(),
    pull=(_calculate_forward, _calculate_backward),
)


def calculate(formula: Any) -> Any:
    """Return the value of a formula such as `2 * (3 + 4)`, as a text.

    >>> calculate("2 * (3 + 4)")
    '14'
    """
    return calculate_p.bind(formula)


@af.custom(out=str)
def lookup(name: str) -> str:
    """Return what is known of a chemical element, by its name or symbol.

    >>> lookup("gold")
    'gold: symbol Au, atomic number 79, atomic weight 196.97'
    """
    wanted = name.strip().lower()
    for element, facts in ELEMENTS.items():
        if wanted in (element, facts["symbol"].lower()):
            return f"{element}: " + ", ".join(f"{key} {value}" for key, value in facts.items())
    return f"error: nothing is known of {name!r}"


@af.custom(out=str)
def letters(text: str) -> str:
    """Return how many letters a text has.

    >>> letters("two words")
    '8'
    """
    return str(sum(character.isalpha() for character in text))


@lookup.set_pullback
def _lookup_backward(in_tree: Any, /, *, call: Any) -> Any:
    ((name,), found), feedback = in_tree
    return (f"Looking up {name!r} gave {found!r}. {feedback}",)


@letters.set_pullback
def _letters_backward(in_tree: Any, /, *, call: Any) -> Any:
    ((text,), count), feedback = in_tree
    return (f"{text!r} has {count} letters. {feedback}",)
