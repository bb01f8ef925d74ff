"""The order of terms and factors: as people write them, and the same whatever was created first.

Every node gets a short text from its structure alone, by which atoms are sorted: its class, its leading symbols, and
beyond a length a hash of the rest. Terms go by degree, then by text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from alkahest.expr.pool import LEAVES
from alkahest.symbolic.exact import Exact
from alkahest.symbolic.forms import Workspace

_MAX_TEXT = 40
_DIGITS = re.compile(r"\d+")
# Classes in the order in which factors are written.
_NUMBER, _CONSTANT, _SYMBOL, _COMPOSITE, _FUNCTION = "0", "1", "2", "3", "4"
# What stands before and after the operands' texts; other functions are written name first.
_FRAMES = {
    "add": (_COMPOSITE, "+"),
    "sub": (_COMPOSITE, "-"),
    "mul": (_COMPOSITE, "*"),
    "div": (_COMPOSITE, "/"),
    "neg": (_COMPOSITE, "_"),
    "pow": (_FUNCTION, "^"),
}


def text_of(space: Workspace, ident: int) -> str:
    """Return the text by which a node is sorted; different structures have different texts."""
    texts = space.texts
    found = texts.get(ident)
    if found is not None:
        return found
    nodes = space.nodes
    if nodes[ident][0] in LEAVES:
        text = texts[ident] = _leaf_text(nodes[ident])
        return text
    stack = [ident]
    while stack:
        i = stack[-1]
        node = nodes[i]
        if node[0] in LEAVES:
            texts[i] = _leaf_text(node)
        else:
            missing = [c for c in node[1:] if c not in texts]
            if missing:
                stack += missing
                continue
            # Postfix for operators: the leading operand comes first. The class of an inner operand says nothing.
            args = [texts[c] for c in node[1:]]
            inner = "".join([a if a[0] < _COMPOSITE else a[1:] for a in args])
            before, after = _FRAMES.get(node[0]) or (f"{_FUNCTION}{node[0]} ", ")")
            texts[i] = _shortened(before + inner + after)
        stack.pop()
    return texts[ident]


def _shortened(text: str) -> str:
    if len(text) <= _MAX_TEXT:
        return text
    return f"{text[: _MAX_TEXT - 17]}~{blake2b(text.encode(), digest_size=8).hexdigest()}"


def _leaf_text(node: tuple[Any, ...]) -> str:
    head = node[0]
    if head == "symbol":
        domain = "" if node[2] == "real" else f":{node[2]}"
        return _shortened(f"{_SYMBOL}{_natural(node[1])}{domain};")
    if head == "const":
        return f"{_CONSTANT}{node[1]};"
    value = repr(node[1]) if head == "float" else "/".join([f"{n:x}" for n in node[1:]])
    return _shortened(f"{_NUMBER}{value};")


def _natural(name: str) -> str:
    """Return `name` with its numbers padded, so that x2 comes before x10."""
    letters = name.rstrip("0123456789")
    if letters.isalpha():  # most names are
        return letters + name[len(letters) :].zfill(8) if len(letters) < len(name) else name
    return _DIGITS.sub(_padded, name)


def _padded(digits: re.Match[str]) -> str:
    return digits[0].zfill(8)


@lru_cache(maxsize=4096)
def _exponent_text(exponent: Exact) -> str:
    """Return a text that sorts larger exponents first."""
    nearest = max(-9e5, min(9e5, float(exponent)))
    rest = "" if abs(exponent) < 9e5 else f"{exponent.numerator:x}"
    return f"!{1e6 - nearest:013.4f}{rest}"


_FIRST_POWER = _exponent_text(1)


def factor_order(space: Workspace, items: dict[int, Exact]) -> list[int]:
    """Return the bases of a product in the order in which they are written, whole products in front."""
    if len(items) == 1:
        return list(items)
    nodes = space.nodes
    return sorted(
        items,
        key=lambda base: (nodes[base][0] != "mul" or items[base] not in (1, -1), text_of(space, base)),
    )


def sort_key(space: Workspace, key: int) -> tuple[bool, Exact, str]:
    """Return what terms are sorted by: constants last, degree downwards, then symbols and functions by name."""
    if key >= 0:
        text = text_of(space, key)
        return text[0] < _SYMBOL, -1 if _SYMBOL <= text[0] <= _COMPOSITE else 0, text + _FIRST_POWER
    found = space.sort_keys.get(key)
    if found is None:
        found = space.sort_keys[key] = _product_sort_key(space, space.bases[-key - 1])
    return found


def _product_sort_key(space: Workspace, items: dict[int, Exact]) -> tuple[bool, Exact, str]:
    texts = [(text_of(space, base), exponent) for base, exponent in items.items()]
    texts.sort()
    degree: Exact = 0
    front: list[str] = []
    back: list[str] = []
    for text, exponent in texts:
        if _SYMBOL <= text[0] <= _COMPOSITE:
            degree -= exponent
        (back if text[0] < _SYMBOL else front).append(text + _exponent_text(exponent))
    return not front, degree, "".join(front + back)
