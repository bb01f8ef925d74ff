"""What the e-graph knows by itself: arithmetic of exact numbers, rearranging of sums and products, signs.

Written in egglog's language; `add`, `mul` and so on stand for the ops of expressions. All of it holds in refinement
semantics: every term of the e-graph has a value wherever its root has one, and what is put beside it too.
"""

from __future__ import annotations

import re

Axiom = tuple[frozenset[str], str]

# n/m as the engine's number, and as a term.
_NUMBERS = {"zero": "(bigrat (bigint 0) (bigint 1))", "one": "(bigrat (bigint 1) (bigint 1))"}
_NUMBERS["minus-one"] = "(bigrat (bigint -1) (bigint 1))"
_NUMBERS["two"] = "(bigrat (bigint 2) (bigint 1))"


_NUMBER_RULES = """
(rewrite (@add (@number x) (@number y)) (@number (+ x y)) :ruleset numbers)
(rewrite (@mul (@number x) (@number y)) (@number (* x y)) :ruleset numbers)
(rewrite (@sub (@number x) (@number y)) (@number (- x y)) :ruleset numbers)
(rewrite (@neg (@number x)) (@number (- zero x)) :ruleset numbers)
(rewrite (@div (@number x) (@number y)) (@number (/ x y)) :ruleset numbers :when ((!= y zero)))
(rewrite (@pow (@number x) (@number y)) (@number (/ one x)) :ruleset numbers :when ((= y minus-one) (!= x zero)))
(rewrite (@pow (@number x) (@number y)) (@number (* x x)) :ruleset numbers :when ((= y two)))
"""

_ALGEBRA = """
(rule ((= e (@add (@number x) a)) (= x zero)) ((union e a)) :ruleset numbers)
(rule ((= e (@mul (@number x) a)) (= x one)) ((union e a)) :ruleset numbers)
(rule ((= e (@pow a (@number x))) (= x one)) ((union e a)) :ruleset numbers)
(rewrite (@add a a) (@mul (@number two) a) :ruleset numbers)
(rewrite (@add a (@mul (@number x) a)) (@mul (@number (+ one x)) a) :ruleset numbers)
(rewrite (@add (@mul (@number x) a) (@mul (@number y) a)) (@mul (@number (+ x y)) a) :ruleset numbers)
(rewrite (@mul (@number x) (@mul (@number y) a)) (@mul (@number (* x y)) a) :ruleset numbers)
(rewrite (@mul (@number x) (@add (@number y) a)) (@add (@number (* x y)) (@mul (@number x) a)) :ruleset structure)
(rewrite (@mul a a) (@pow a (@number two)) :ruleset numbers)
(rewrite (@add (@add a b) c) (@add a (@add b c)) :ruleset structure)
(rewrite (@add a (@add b c)) (@add (@add a b) c) :ruleset structure)
(rewrite (@add a b) (@add b a) :ruleset structure)
(rewrite (@mul (@mul a b) c) (@mul a (@mul b c)) :ruleset structure)
(rewrite (@mul a (@mul b c)) (@mul (@mul a b) c) :ruleset structure)
(rewrite (@mul a b) (@mul b a) :ruleset structure)
(rewrite (@add (@mul a b) (@mul a c)) (@mul a (@add b c)) :ruleset structure)
(rewrite (@add a (@mul a c)) (@mul a (@add (@number one) c)) :ruleset structure)
(rewrite (@mul a (@pow a (@number x))) (@pow a (@number (+ one x))) :ruleset numbers
  :when ((= (bigint 1) (denom x)) (> x zero)))
"""

# The same comparison in both directions.
_COMPARISONS = """
(rewrite (@gt a b) (@lt b a) :ruleset numbers)
(rewrite (@lt a b) (@gt b a) :ruleset numbers)
(rewrite (@ge a b) (@le b a) :ruleset numbers)
(rewrite (@le a b) (@ge b a) :ruleset numbers)
(rewrite (@max a b) (@max b a) :ruleset numbers)
(rewrite (@min a b) (@min b a) :ruleset numbers)
"""

# These have a value where the left side has none.
_WIDENING = """
(rule ((= e (@mul (@number x) a)) (= x zero)) ((union e (@number zero))) :ruleset numbers)
(rule ((= e (@pow a (@number x))) (= x zero)) ((union e (@number one))) :ruleset numbers)
(rewrite (@mul a (@pow a (@number x))) (@pow a (@number (+ one x))) :ruleset numbers)
(rewrite (@mul (@pow a (@number x)) (@pow a (@number y))) (@pow a (@number (+ x y))) :ruleset numbers)
(rewrite (@pow (@pow a (@number x)) (@number y)) (@pow a (@number (* x y))) :ruleset numbers :when ((= y minus-one)))
"""

# Powers of products and quotients: the same domain on both sides.
_POWERS = """
(rewrite (@pow (@mul a b) (@number x)) (@mul (@pow a (@number x)) (@pow b (@number x))) :ruleset numbers
  :when ((= x minus-one)))
(rewrite (@pow (@pow a (@number x)) (@number y)) (@pow a (@number (* x y))) :ruleset numbers
  :when ((= y minus-one) (> x zero)))
"""

_SIGNS = """
(rule ((= e (@number x)) (> x zero)) ((pos e)) :ruleset facts)
(rule ((= e (@number x)) (< x zero)) ((neg e)) :ruleset facts)
(rule ((= e (@number x)) (= x zero)) ((nonneg e) (nonpos e)) :ruleset facts)
(rule ((= e (@number x)) (= (denom x) (bigint 1))) ((int e)) :ruleset facts)
(rule ((pos e)) ((nonneg e) (nz e)) :ruleset facts)
(rule ((neg e)) ((nonpos e) (nz e)) :ruleset facts)
(rule ((nonneg e) (nz e)) ((pos e)) :ruleset facts)
(rule ((nonpos e) (nz e)) ((neg e)) :ruleset facts)
(rule ((= e (@add a b)) (pos a) (nonneg b)) ((pos e)) :ruleset facts)
(rule ((= e (@add a b)) (nonneg a) (pos b)) ((pos e)) :ruleset facts)
(rule ((= e (@add a b)) (nonneg a) (nonneg b)) ((nonneg e)) :ruleset facts)
(rule ((= e (@add a b)) (neg a) (nonpos b)) ((neg e)) :ruleset facts)
(rule ((= e (@add a b)) (nonpos a) (neg b)) ((neg e)) :ruleset facts)
(rule ((= e (@add a b)) (nonpos a) (nonpos b)) ((nonpos e)) :ruleset facts)
(rule ((= e (@add a b)) (int a) (int b)) ((int e)) :ruleset facts)
(rule ((= e (@sub a b)) (pos a) (nonpos b)) ((pos e)) :ruleset facts)
(rule ((= e (@sub a b)) (nonneg a) (neg b)) ((pos e)) :ruleset facts)
(rule ((= e (@sub a b)) (nonneg a) (nonpos b)) ((nonneg e)) :ruleset facts)
(rule ((= e (@sub a b)) (neg a) (nonneg b)) ((neg e)) :ruleset facts)
(rule ((= e (@sub a b)) (nonpos a) (pos b)) ((neg e)) :ruleset facts)
(rule ((= e (@sub a b)) (nonpos a) (nonneg b)) ((nonpos e)) :ruleset facts)
(rule ((= e (@sub a b)) (int a) (int b)) ((int e)) :ruleset facts)
(rule ((= e (@neg a)) (pos a)) ((neg e)) :ruleset facts)
(rule ((= e (@neg a)) (neg a)) ((pos e)) :ruleset facts)
(rule ((= e (@neg a)) (nonneg a)) ((nonpos e)) :ruleset facts)
(rule ((= e (@neg a)) (nonpos a)) ((nonneg e)) :ruleset facts)
(rule ((= e (@neg a)) (nz a)) ((nz e)) :ruleset facts)
(rule ((= e (@neg a)) (int a)) ((int e)) :ruleset facts)
(rule ((= e (@mul a b)) (pos a) (pos b)) ((pos e)) :ruleset facts)
(rule ((= e (@mul a b)) (neg a) (neg b)) ((pos e)) :ruleset facts)
(rule ((= e (@mul a b)) (pos a) (neg b)) ((neg e)) :ruleset facts)
(rule ((= e (@mul a b)) (neg a) (pos b)) ((neg e)) :ruleset facts)
(rule ((= e (@mul a b)) (nonneg a) (nonneg b)) ((nonneg e)) :ruleset facts)
(rule ((= e (@mul a b)) (nonpos a) (nonpos b)) ((nonneg e)) :ruleset facts)
(rule ((= e (@mul a b)) (nonneg a) (nonpos b)) ((nonpos e)) :ruleset facts)
(rule ((= e (@mul a b)) (nonpos a) (nonneg b)) ((nonpos e)) :ruleset facts)
(rule ((= e (@mul a b)) (nz a) (nz b)) ((nz e)) :ruleset facts)
(rule ((= e (@mul a b)) (int a) (int b)) ((int e)) :ruleset facts)
(rule ((= e (@mul a a))) ((nonneg e)) :ruleset facts)
(rule ((= e (@div a b)) (pos a) (pos b)) ((pos e)) :ruleset facts)
(rule ((= e (@div a b)) (nonneg a) (pos b)) ((nonneg e)) :ruleset facts)
(rule ((= e (@div a b)) (neg a) (neg b)) ((pos e)) :ruleset facts)
(rule ((= e (@div a b)) (pos a) (neg b)) ((neg e)) :ruleset facts)
(rule ((= e (@div a b)) (neg a) (pos b)) ((neg e)) :ruleset facts)
(rule ((= e (@div a b)) (nz a)) ((nz e)) :ruleset facts)
(rule ((= e (@pow a b)) (pos a)) ((pos e)) :ruleset facts)
(rule ((= e (@pow a b)) (nz a)) ((nz e)) :ruleset facts)
(rule ((= e (@pow a b)) (nonneg a)) ((nonneg e)) :ruleset facts)
(rule ((= e (@pow a (@number x))) (= x two)) ((nonneg e)) :ruleset facts)
(rule ((= e (@pow a (@number x))) (= (numer x) (bigint 1)) (= (denom x) (bigint 2))) ((nonneg e)) :ruleset facts)
(rule ((= e (@sqrt a))) ((nonneg e)) :ruleset facts)
(rule ((= e (@sqrt a)) (nz a)) ((nz e)) :ruleset facts)
(rule ((= e (@abs a))) ((nonneg e)) :ruleset facts)
(rule ((= e (@abs a)) (nz a)) ((nz e)) :ruleset facts)
(rule ((= e (@exp a))) ((pos e)) :ruleset facts)
(rule ((= e (@cosh a))) ((pos e)) :ruleset facts)
(rule ((= e (@acos a))) ((nonneg e)) :ruleset facts)
(rule ((= e (@acosh a))) ((nonneg e)) :ruleset facts)
(rule ((= e (@hypot a b))) ((nonneg e)) :ruleset facts)
(rule ((= e (@hypot a b)) (nz a)) ((nz e)) :ruleset facts)
(rule ((= e (@hypot a b)) (nz b)) ((nz e)) :ruleset facts)
(rule ((= e (@max a b)) (pos a)) ((pos e)) :ruleset facts)
(rule ((= e (@max a b)) (pos b)) ((pos e)) :ruleset facts)
(rule ((= e (@max a b)) (nonneg a)) ((nonneg e)) :ruleset facts)
(rule ((= e (@max a b)) (nonneg b)) ((nonneg e)) :ruleset facts)
(rule ((= e (@min a b)) (pos a) (pos b)) ((pos e)) :ruleset facts)
(rule ((= e (@min a b)) (nonneg a) (nonneg b)) ((nonneg e)) :ruleset facts)
"""

# f is odd and increasing: f(a) has the sign of a.
_INCREASING = "sinh tanh asinh atanh asin atan cbrt expm1 log1p erf".split()


def axioms(*, plain: bool, strict: bool, signs: bool) -> list[Axiom]:
    """Return what the e-graph knows by itself: the ops it takes, and the commands that say it.

    `signs` are derived only where some identity asks for them: they are most of the rules.
    """
    text = _NUMBER_RULES + _COMPARISONS + (_sign_rules() if signs else "")
    if not plain:
        text += _ALGEBRA + _POWERS + ("" if strict else _WIDENING)
    return [_axiom(part) for part in re.split(r"\n(?=\()", text.strip())]


def settled(op: str, arity: int) -> str:
    """Return the rules by which calls of an op are looked at no more once they equal a number or an atom.

    Nothing is cheaper than these; else all ways to write 1, say, would be tried wherever a 1 stands.
    """
    call = f"({op} {' '.join([f'a{k}' for k in range(arity)])})"
    return "".join(
        [
            f"(rule ((= e ({leaf} x)) (= e {call})) ((subsume {call})) :ruleset numbers)"
            for leaf in ("E.number", "E.atom")
        ]
    )


def _sign_rules() -> str:
    text = _SIGNS
    for op in _INCREASING:
        for relation in ("pos", "neg", "nonneg", "nonpos", "nz"):
            text += f"(rule ((= e (@{op} a)) ({relation} a)) (({relation} e)) :ruleset facts)\n"
    for constant in ("pi", "e"):
        text += f"(rule ((= e (@const.{constant}))) ((pos e)) :ruleset facts)\n"
    return text


def _axiom(text: str) -> Axiom:
    ops = frozenset(re.findall(r"\(@([\w.]+)", text)) - {"number"}
    for name, value in _NUMBERS.items():
        text = re.sub(rf"(?<=[ (]){name}(?=[ )])", value, text)
    text = re.sub(r"\((pos|neg|nonneg|nonpos|nz|int) ", r"(K.\1 ", text)
    return ops, re.sub(r"\(@([\w.]+)", r"(E.\1", text)
