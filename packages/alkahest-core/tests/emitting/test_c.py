"""Emitted C: its text where people read it, its values as a C compiler's program computes them."""

import ctypes
import decimal
import itertools
import math
import os
import random
import shutil
import subprocess

import mpmath
import numpy as np
import pytest

from alkahest.base.prim import Prim, arity_of
from alkahest.base.rules import lowering_rules
from alkahest.emitting.c import emit_c
from alkahest.emitting.c_names import check_names, free_prefix
from alkahest.emitting.c_writer import write_function
from alkahest.emitting.formats import emit
from alkahest.errors import (
    AlkahestError,
    ArityError,
    ConfigError,
    DuplicateInputError,
    EmitError,
    IdentifierError,
    NotASymbolError,
    NumberOverflowError,
    UnknownFormatError,
    UnknownSymbolError,
)
from alkahest.expr.pool import ExprPool
from alkahest.expr.tape import Instr, Tape
from alkahest.prims import standard
from alkahest.prims.arithmetic import fma, max, min, sign
from alkahest.prims.comparison import eq, ge, gt, le, lt, ne, not_, where
from alkahest.prims.elementary import cos, exp, sin, sqrt
from alkahest.prims.special import digamma, polygamma

GCC = shutil.which("gcc") or shutil.which("cc")
needs_compiler = pytest.mark.skipif(GCC is None, reason="no C compiler on this machine")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-ffp-contract=off"]
SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 3.5, 1e300, -1e300, 5e-324]


@pytest.fixture(scope="module")
def pool():
    return ExprPool()


@pytest.fixture(scope="module")
def xy(pool):
    return pool.symbol("x"), pool.symbol("y")


def program(folder, text, *flags):
    """Compile C text as strictly as the compiler can and return the loaded library."""
    source, library = folder / "emitted.c", folder / "emitted.so"
    source.write_text(text)
    command = [GCC, *STRICT, *(flags or ["-O1"]), "-shared", "-fPIC", "-o", library, source, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return ctypes.CDLL(str(library))


def function(library, name, arity, real=ctypes.c_double):
    found = library[name]
    found.restype, found.argtypes = real, [real] * arity
    return found


def body(text):
    """Return the lines between the braces of the last function, unindented."""
    lines = text.rstrip().splitlines()
    start = len(lines) - 1 - next(k for k, line in enumerate(reversed(lines)) if line.endswith("{"))
    return [line.strip() for line in lines[start + 1 : -1]]


def neg(x):
    return -x


def same(a, b):
    return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))


# -- the text


def test_one_expression_returns_its_value(xy):
    x, _ = xy
    assert emit_c(sin(x) * exp(-x), [x], var_name="x", fn_name="damped_sin") == (
        "#include <math.h>\n\ndouble damped_sin(double x) {\n    return sin(x) * exp(-x);\n}\n"
    )


def test_arithmetic_needs_no_header(xy):
    x, y = xy
    assert emit_c(x**2 + y, [x, y]) == "double f(double x, double y) {\n    return x * x + y;\n}\n"


def test_several_outputs_go_through_pointers(xy):
    x, y = xy
    assert emit_c([x * y, sin(x * y)], [x, y], fn_name="both") == (
        "#include <math.h>\n\n"
        "void both(double x, double y, double *out0, double *out1) {\n"
        "    const double t0 = x * y;\n"
        "    *out0 = t0;\n"
        "    *out1 = sin(t0);\n"
        "}\n"
    )
    assert emit_c([x], [x]) == "void f(double x, double *out0) {\n    *out0 = x;\n}\n"


def test_no_inputs(pool):
    assert emit_c(pool.pi / 2, []) == "double f(void) {\n    return 3.141592653589793 / 2.0;\n}\n"
    assert emit_c([pool.integer(1), 2], []) == (
        "void f(double *out0, double *out1) {\n    *out0 = 1.0;\n    *out1 = 2.0;\n}\n"
    )


def test_numbers_stand_beside_symbols(xy):
    x, _ = xy
    assert body(emit_c(3, [x])) == ["(void)x;", "return 3.0;"]


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda x, y: x - (y - 1), "x - (y - 1.0)"),
        (lambda x, y: x - y - 1, "x - y - 1.0"),
        (lambda x, y: x / (y / 2), "x / (y / 2.0)"),
        (lambda x, y: (x + y) * (x - y) / 3, "(x + y) * (x - y) / 3.0"),
        (lambda x, y: x + y * 2 + 1, "x + y * 2.0 + 1.0"),
        (lambda x, y: -x * -y, "-x * -y"),
        (lambda x, y: -(x * y), "-(x * y)"),
        (lambda x, y: -neg(x) - y, "-(-x) - y"),
        (lambda x, y: x - -2.0 * y, "x - -2.0 * y"),
        (lambda x, y: sin(x + y), "sin(x + y)"),
        (lambda x, y: x**y, "pow(x, y)"),
        (lambda x, y: x**0.5 + y, "pow(x, 0.5) + y"),
        (lambda x, y: y * x**3, "y * (x * x * x)"),
        (lambda x, y: (x + y) ** -1, "1.0 / (x + y)"),
        (lambda x, y: x / 3 + y, "x / 3.0 + y"),
        (lambda x, y: fma(x, y, x + 1), "fma(x, y, x + 1.0)"),
        (lambda x, y: where(x > 0, x, -y), "x > 0.0 ? x : -y"),
        (lambda x, y: where((x < y) & (y < 1) | (x > 3), x, y), "(x < y && y < 1.0) || x > 3.0 ? x : y"),
        (lambda x, y: where(not_(x < y), x, y), "!(x < y) ? x : y"),
        (lambda x, y: where(x < 0, 1, where(y < 0, 2, 3)), "x < 0.0 ? 1.0 : y < 0.0 ? 2.0 : 3.0"),
        (lambda x, y: where(x < 0, where(y < 0, 2, 3), 1), "x < 0.0 ? (y < 0.0 ? 2.0 : 3.0) : 1.0"),
        (lambda x, y: where(x, y, 1), "x != 0.0 ? y : 1.0"),
        (lambda x, y: y * (x < 1), "y * (x < 1.0 ? 1.0 : 0.0)"),
        (lambda x, y: (x < 1) & y, "x < 1.0 && y != 0.0 ? 1.0 : 0.0"),
        (max, "x != x || x > y ? x : y"),
        (lambda x, y: 1 + min(x, y), "1.0 + (x != x || x < y ? x : y)"),
        (lambda x, y: sign(x) + y, "(x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : fabs(x)) + y"),
    ],
)
def test_parentheses_are_the_fewest_that_keep_the_meaning(xy, build, text):
    assert body(emit_c(build(*xy), xy))[-1] == f"return {text};"


def test_rules_that_repeat_an_argument_get_a_name_for_it(xy):
    x, y = xy
    assert body(emit_c(max(x + y, sin(x), 0), [x, y])) == [
        "const double t0 = x + y;",
        "const double t1 = sin(x);",
        "const double t2 = t0 != t0 || t0 > t1 ? t0 : t1;",
        "return t2 != t2 || t2 > 0.0 ? t2 : 0.0;",
    ]
    assert body(emit_c(sin(x + y) ** 2, [x, y])) == ["const double t0 = sin(x + y);", "return t0 * t0;"]


def test_a_condition_used_twice_is_an_int(xy):
    x, y = xy
    c = x < y
    assert body(emit_c(where(c, x, 1) + c, [x, y])) == [
        "const int t0 = x < y;",
        "return (t0 ? x : 1.0) + (t0 ? 1.0 : 0.0);",
    ]


def test_numbers_read_back_exactly(pool, xy):
    x, _ = xy
    values = [1e22, 0.1, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3, -2.5e-7]
    texts = [body(emit_c(pool.float(v), []))[0].removeprefix("return ").rstrip(";") for v in values]
    assert texts == [
        "1e+22",
        "0.1",
        "-0.0",
        "5e-324",
        "1.7976931348623157e+308",
        "0.3333333333333333",
        "-2.5e-07",
    ]
    assert all(same(float(t), v) for t, v in zip(texts, values, strict=True))
    assert "x * 0.14285714285714285" in emit_c(x * pool.rational(1, 7), [x])


def test_single_precision(xy):
    x, y = xy
    assert emit_c(sin(x) * 0.1 + where(y > 1, x**y, -2.5), [x, y], dtype="f32") == (
        "#include <math.h>\n\n"
        "float f(float x, float y) {\n"
        "    return sinf(x) * 0.1f + (y > 1.0f ? powf(x, y) : -2.5f);\n"
        "}\n"
    )
    assert body(emit_c(sign(x), [x], dtype="f32")) == ["return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : fabsf(x);"]
    with pytest.raises(NumberOverflowError):
        emit_c(x * 1e300, [x], dtype="f32")
    with pytest.raises(ConfigError):
        emit_c(x, [x], dtype="f16")


def test_single_precision_literals_are_the_shortest_of_the_rounded_value(pool):
    for value in (0.1, 1 / 3, 3.4028234663852886e38, 1e-45, 16777217.0, math.pi, 1e-60):
        text = body(emit_c(pool.float(value), [], dtype="f32"))[0].removeprefix("return ").rstrip("f;")
        assert np.float32(text) == np.float32(value)
        assert len(text) <= len(repr(float(np.float32(value))))


def test_temporaries_and_outputs_leave_the_users_names_alone():
    pool = ExprPool()
    a, b, c = pool.symbols("t0 out1 t_7")
    assert emit_c([sin(a * b), a * b * c], [a, b, c], fn_name="t1") == (
        "#include <math.h>\n\n"
        "void t1(double t0, double out1, double t_7, double *out_0, double *out_1) {\n"
        "    const double t__0 = t0 * out1;\n"
        "    *out_0 = sin(t__0);\n"
        "    *out_1 = t__0 * t_7;\n"
        "}\n"
    )
    assert free_prefix("t", ["t", "tx", "t1x"]) == "t"


def test_long_parameter_lists_are_broken_after_commas():
    pool = ExprPool()
    xs = pool.symbols([f"parameter_{k}" for k in range(12)])
    text = emit_c(sum(xs[1:], xs[0]), xs)
    assert all(len(line) <= 120 for line in text.splitlines())
    assert text.count("double parameter_") == 12


# -- names


@pytest.mark.parametrize(
    "name",
    [
        *("", "a b", "1x", "x'", "α", "x\n", "f(void){}", "a-b", "x;y", "a b", "ｘ"),
        *("int", "restrict", "_Bool", "bool", "nullptr", "class", "template", "and"),
        *("sin", "expf", "powl", "fma", "isnan", "INFINITY", "NAN", "M_PI", "HUGE_VAL", "double_t", "tgamma"),
        *("main", "linux", "_Reserved", "__reserved", "alkahest_digamma", "ALKAHEST_X"),
    ],
)
def test_names_that_are_not_free_are_refused_everywhere(xy, name):
    x, _ = xy
    with pytest.raises(IdentifierError) as as_function:
        emit_c(x, [x], fn_name=name)
    with pytest.raises(IdentifierError) as as_input:
        emit_c(x, [x], var_name=name)
    assert as_function.value.remedy
    assert "var_names" in as_input.value.remedy


@pytest.mark.parametrize("name", ["malloc", "printf", "abs", "cexp", "exit", "y0", "gamma", "_f", "strlen", "index_"])
def test_names_of_the_library_are_refused_for_functions_only(xy, name):
    x, _ = xy
    assert f"double {name})" in emit_c(x, [x], var_name=name)
    if name != "index_":
        with pytest.raises(IdentifierError):
            emit_c(x, [x], fn_name=name)


MACROS = "errno EOF I complex NULL stdin stdout stderr assert true false bool".split()


@pytest.mark.parametrize("name", MACROS)
def test_macros_of_common_headers_are_refused(pool, name):
    """C99 7: each is, or may be, a macro of <errno.h>, <stdio.h>, <complex.h>, <assert.h> or <stdbool.h>."""
    x = pool.symbol("x")
    with pytest.raises(IdentifierError, match=name):
        emit_c(x, [x], fn_name=name)
    with pytest.raises(IdentifierError, match=name):
        emit_c(pool.symbol(name), [pool.symbol(name)])


@pytest.mark.parametrize("name", ["damped_sin", "F2", "sin2", "Theta", "total", "x_", "volume"])
def test_free_names_are_taken(name):
    check_names(name, ["x", "gamma", "beta", "y0", "J", "lambda", "x1", "_x"])


@needs_compiler
def test_the_compiler_agrees_that_accepted_names_are_free(xy, tmp_path):
    """In its default mode too, which has more keywords, macros and built-in functions than C99."""
    x, _ = xy
    names = ["gamma", "y0", "j1", "index", "time", "J", "lambda", "beta", "signgam", "drem", "near", "_x", "F"]
    headers = [f"#include <{h}.h>\n" for h in "assert complex errno limits stdbool stddef stdio stdlib string".split()]
    texts = [emit_c(sin(x), [x], var_name=n, fn_name=f"f{k}") for k, n in enumerate(names)]
    text = "".join(headers + texts)
    (tmp_path / "names.c").write_text(text)
    for mode in ("c99", "gnu99", "gnu17"):
        command = [GCC, f"-std={mode}", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", tmp_path / "names.c"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr


def test_names_collide(pool, xy):
    x, y = xy
    for refused in (
        lambda: emit_c(x + y, [x, y], var_names=["a", "a"]),
        lambda: emit_c(x, [x], var_name="g", fn_name="g"),
        lambda: emit_c(x, [x, pool.symbol("x", domain="positive")]),
    ):
        with pytest.raises(IdentifierError):
            refused()


def test_a_symbol_that_is_no_identifier_asks_for_var_names():
    pool = ExprPool()
    prime = pool.symbol("x|2")
    with pytest.raises(IdentifierError) as refused:
        emit_c(prime + 1, [prime])
    assert "x|2" in str(refused.value)
    assert "var_names" in refused.value.remedy
    assert body(emit_c(prime + 1, [prime], var_names=["x_prime"])) == ["return x_prime + 1.0;"]


def test_wrong_numbers_of_names(xy):
    x, y = xy
    for wrong in ({"var_name": "a"}, {"var_names": ["a"]}, {"var_names": ["a", "b", "c"]}):
        with pytest.raises(ArityError):
            emit_c(x + y, [x, y], **wrong)
    with pytest.raises(ArityError):
        emit_c(x, [x], var_name="a", var_names=["a"])


# -- inputs and primitives that cannot be written


def test_inputs_are_checked(xy):
    x, y = xy
    with pytest.raises(UnknownSymbolError):
        emit_c(x + y, [x])
    with pytest.raises(DuplicateInputError):
        emit_c(x, [x, x])
    with pytest.raises(NotASymbolError):
        emit_c(x, [x + 1])
    with pytest.raises(EmitError):
        emit_c([], [x])
    with pytest.raises(EmitError):
        emit_c(3, [])
    with pytest.raises(AlkahestError):
        emit_c("x; system(0)", [x])
    assert emit_c(x, x) == emit_c(x, [x])


def foreign(rule, monkeypatch, params=()):
    """Emit x / foreign(x + 1) with `rule` for the primitive."""
    if rule is not None:
        monkeypatch.setitem(lowering_rules("c")._by_name, "foreign", rule)
    instrs = (Instr("add", (0, 1)), Instr("foreign", (2,), params), Instr("div", (0, 3)))
    return write_function(Tape(("x",), (1.0,), instrs, (4,)), ["x"], "f", "f64", returns=True)


@pytest.mark.parametrize(
    ("rule", "lines"),
    [
        ("erf({0})", ["return x / erf(x + 1.0);"]),
        ("foo(2.0 * {0})", ["return x / foo(2.0 * (x + 1.0));"]),
        ("({0})", ["return x / (x + 1.0);"]),
        ("{0} * 2.0 + 1.0", ["return x / ((x + 1.0) * 2.0 + 1.0);"]),
        (
            "{0} / (1.0 + fabs({0}))",
            ["const double t0 = x + 1.0;", "return x / (t0 / (1.0 + fabs(t0)));"],
        ),
        (lambda args: f"foo({args[0]})", ["const double t0 = x + 1.0;", "return x / foo(t0);"]),
        (lambda args: f"{args[0]} - 1.0", ["const double t0 = x + 1.0;", "return x / (t0 - 1.0);"]),
        ("isnan({0})", ["return x / (isnan(x + 1.0) ? 1.0 : 0.0);"]),
    ],
)
def test_rules_of_third_parties(rule, lines, monkeypatch):
    assert body(str(foreign(rule, monkeypatch))) == lines


def test_a_name_that_a_rule_calls_is_taken(monkeypatch):
    with pytest.raises(IdentifierError):
        foreign("x({0})", monkeypatch)


def test_static_parameters_reach_a_callable(monkeypatch):
    text = str(foreign(lambda args, order: f"bessel({order}, {args[0]})", monkeypatch, (("order", 2),)))
    assert "bessel(2, t0)" in text
    with pytest.raises(EmitError):
        foreign("bessel({0})", monkeypatch, (("order", 2),))


@pytest.mark.parametrize("rule", [None, "erf({1})", "erf({})", "erf({x})", "erf({0", "erf({0!r})", 3, lambda args: 3])
def test_a_primitive_without_a_usable_rule_is_named(rule, monkeypatch):
    with pytest.raises(EmitError) as refused:
        foreign(rule, monkeypatch)
    assert "foreign" in str(refused.value)


# -- the values


NUMPY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    # NumPy takes the square root for a power 0.5, which C99 (F.9.4.4) tells apart at -inf and -0.0.
    "pow": lambda x, y: abs(x) if y == 0.5 and x in (-math.inf, 0) else np.power(x, y),
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round": np.rint,
    "min": np.minimum,
    "max": np.maximum,
    "fmin": np.fmin,
    "fmax": np.fmax,
    "copysign": np.copysign,
    "fmod": np.fmod,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "cbrt": np.cbrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "atan2": np.arctan2,
    "hypot": np.hypot,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "where": lambda c, a, b: np.where(c != 0, a, b),
}


def half_away(x):
    """Round by decimal arithmetic, which is exact."""
    if not math.isfinite(x):
        return x
    return math.copysign(float(decimal.Decimal(x).to_integral_value(decimal.ROUND_HALF_UP)), x)


def ieee_remainder(a, b):
    try:
        return math.remainder(a, b)
    except ValueError:
        return math.nan


def rounded_once(a, b, c):
    if not all(map(math.isfinite, (a, b, c))):
        with np.errstate(all="ignore"):  # a*b does not overflow before it meets an infinite c
            return c if math.isinf(c) and math.isfinite(a) and math.isfinite(b) else float(np.multiply(a, b) + c)
    with mpmath.workprec(5000):
        exact = mpmath.mpf(a) * b + c
        return float(exact) if exact else a * b + c


def by_mpmath(fn):
    def value(*xs):
        with mpmath.workprec(120):
            return float(fn(*[mpmath.mpf(x) for x in xs]))

    return value


# By name: the oracle, and points; where NumPy has the function the points are SPECIAL.
ELSEWHERE = {
    "round_away": (half_away, [(x,) for x in [*SPECIAL, 0.49999999999999994, -0.5, 1.5, -3.5]]),
    "remainder": (ieee_remainder, list(itertools.product(SPECIAL, repeat=2))),
    "fma": (rounded_once, [*itertools.product(SPECIAL, repeat=3), (0.1, 10.0, -1.0)]),
    "erf": (by_mpmath(mpmath.erf), [(x,) for x in (-3.0, -0.5, 0.0, 1e-9, 1.0, math.inf, -math.inf)]),
    "erfc": (by_mpmath(mpmath.erfc), [(x,) for x in (-3.0, 0.0, 0.5, 5.0, 20.0, math.inf, -math.inf)]),
    "gamma": (by_mpmath(mpmath.gamma), [(x,) for x in (-2.5, -0.5, 0.5, 1.0, 5.0, 33.3, 170.0, math.inf)]),
    "lgamma": (
        by_mpmath(lambda x: mpmath.log(abs(mpmath.gamma(x)))),
        [(x,) for x in (-2.5, 0.3, 1.0, 2.0, 5.0, 300.0)],
    ),
    "digamma": (
        by_mpmath(mpmath.digamma),
        [(x,) for x in (-20.3, -2.5, -0.1, 1e-8, 0.3, 1.0, 2.0, 7.7, 16.0, 1e5, 1e300, math.inf)],
    ),
    "polygamma": (
        by_mpmath(mpmath.polygamma),
        [*itertools.product((0.0, 1.0, 2.0, 5.0), (-2.5, 0.3, 1.0, 4.4, 17.0, 1e4)), (1.0, 1e-3), (9.0, 2.0)],
    ),
}
# Below zero the recurrence adds terms of both signs.
TOLERANCE = {"polygamma": 2e-14}
# Neither NumPy nor C99 fixes which of two equal zeros is the smaller one.
ZERO_OF_EITHER_SIGN = {"min", "max", "fmin", "fmax"}


def points_and_oracle(op, arity):
    if op in ELSEWHERE:
        return ELSEWHERE[op]
    return NUMPY[op], list(itertools.product(SPECIAL, repeat=arity))


@pytest.fixture(scope="module")
def every_op(tmp_path_factory):
    """One library with one function per primitive of core, all in one text."""
    texts = []
    for op in [*NUMPY, *ELSEWHERE]:
        pool = ExprPool()
        xs = pool.symbols(["x", "y", "z"][: arity_of(op)])
        texts.append(emit_c(pool.apply(op, *xs), xs, fn_name=f"op_{op}"))
    return program(tmp_path_factory.mktemp("ops"), "\n".join(texts), "-O2")


def test_every_primitive_of_core_has_an_oracle():
    core = {p.name for module in standard.MODULES for p in vars(module).values() if isinstance(p, Prim)}
    assert core == {*NUMPY, *ELSEWHERE}
    assert not [op for op in core if op not in lowering_rules("c")]


@needs_compiler
@pytest.mark.parametrize("op", [*NUMPY, *ELSEWHERE])
def test_values_are_those_of_the_oracle(every_op, op):
    arity = arity_of(op)
    oracle, points = points_and_oracle(op, arity)
    compiled = function(every_op, f"op_{op}", arity)
    for at in points:
        with np.errstate(all="ignore"):
            want = float(oracle(*[np.float64(v) for v in at]))
        got = compiled(*at)
        if math.isnan(want) or math.isinf(want) or want == 0:
            loose = op in ZERO_OF_EITHER_SIGN and want == 0
            assert got == want if loose else same(got, want), (op, at, got, want)
        else:
            assert got == pytest.approx(want, rel=TOLERANCE.get(op, 4e-15), abs=0), (op, at)


@needs_compiler
def test_constants_compile_without_a_warning_and_mean_the_same(every_op, tmp_path):
    finite = [v for v in SPECIAL if math.isfinite(v)]
    rnd = random.Random(11)
    cases = [(op, [rnd.choice(finite) for _ in range(arity_of(op))]) for op in [*NUMPY, *ELSEWHERE] * 8]
    pool = ExprPool()
    texts = [
        emit_c(pool.apply(op, *[pool.float(v) for v in at]), [], fn_name=f"case{k}") for k, (op, at) in enumerate(cases)
    ]
    library = program(tmp_path, "\n".join(texts))
    for k, (op, at) in enumerate(cases):
        got, want = function(library, f"case{k}", 0)(), function(every_op, f"op_{op}", len(at))(*at)
        # Compilers compute constants with functions of their own, which round better than the library's.
        assert same(got, want) or got == pytest.approx(want, rel=1e-14, abs=0), (op, at)


@needs_compiler
def test_digamma_and_polygamma_at_their_poles(every_op):
    digamma_c, polygamma_c = function(every_op, "op_digamma", 1), function(every_op, "op_polygamma", 2)
    assert [digamma_c(x) for x in (0.0, -0.0)] == [-math.inf, math.inf]
    assert all(math.isnan(digamma_c(x)) for x in (-1.0, -7.0, -math.inf, math.nan))
    assert [polygamma_c(n, x) for n, x in ((1.0, 0.0), (1.0, -3.0), (3.0, -2.0), (2.0, math.inf))] == [
        *[math.inf] * 3,
        0.0,
    ]
    nans = ((1.5, 1.0), (-1.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (2.0, -4.0), (1.0, -math.inf))
    assert all(math.isnan(polygamma_c(n, x)) for n, x in nans)


@needs_compiler
def test_powers_written_as_products_agree_with_pow(tmp_path):
    pool = ExprPool()
    x = pool.symbol("x")
    powers = (-1, 2, 3)
    text = "".join([emit_c(x**n, [x], fn_name=f"p{k}") for k, n in enumerate(powers)])
    library = program(tmp_path, text)
    for k, n in enumerate(powers):
        for at in [*SPECIAL, 1.1, -0.7, 123.456, 1e150, 1e-150]:
            with np.errstate(all="ignore"):
                want = float(np.power(np.float64(at), float(n)))
            got = function(library, f"p{k}", 1)(at)
            assert same(got, want) or got == pytest.approx(want, rel=4e-16, abs=0)


CONSTRUCTORS = [
    (2, lambda a, b: a + b, lambda a, b: a + b),
    (2, lambda a, b: a - b, lambda a, b: a - b),
    (2, lambda a, b: a * b, lambda a, b: a * b),
    (2, lambda a, b: a / b, lambda a, b: float(np.divide(a, b))),
    (1, lambda a: -a, lambda a: -a),
    (1, sqrt, lambda a: float(np.sqrt(a))),
    (2, max, lambda a, b: float(np.maximum(a, b))),
    (2, lt, lambda a, b: float(a < b)),
    (2, le, lambda a, b: float(a <= b)),
    (2, gt, lambda a, b: float(a > b)),
    (2, ge, lambda a, b: float(a >= b)),
    (2, eq, lambda a, b: float(a == b)),
    (2, ne, lambda a, b: float(a != b)),
    (2, lambda a, b: a.pool.apply("and", a, b), lambda a, b: float(a != 0 and b != 0)),
    (2, lambda a, b: a.pool.apply("or", a, b), lambda a, b: float(a != 0 or b != 0)),
    (1, not_, lambda a: float(a == 0)),
    (3, where, lambda c, a, b: a if c != 0 else b),
]


def random_expression(pool, inputs, at, size, seed, reach):
    """Return an expression and its value by Python's own arithmetic."""
    rnd = random.Random(seed)
    made = [*zip(inputs, at, strict=True)]
    made += [(pool.float(v), v) for v in (0.0, -0.0, 1.0, -2.5, 0.1, -1e-3)]
    with np.errstate(all="ignore"):
        for _ in range(size):
            arity, build, compute = rnd.choice(CONSTRUCTORS)
            chosen = [rnd.choice(made[-reach:]) for _ in range(arity)]
            made.append((build(*[e for e, _ in chosen]), float(compute(*[np.float64(v) for _, v in chosen]))))
    return made[-1]


@needs_compiler
def test_random_expressions_have_the_bits_of_pythons_arithmetic(tmp_path):
    pool = ExprPool()
    inputs = pool.symbols("x y z")
    at = (1.25, -0.75, math.nan)
    made = [random_expression(pool, inputs, at, 12, seed, reach=9) for seed in range(400)]
    text = "\n".join([emit_c(e, inputs, fn_name=f"e{k}") for k, (e, _) in enumerate(made)])
    library = program(tmp_path, text, "-O2")
    for k, (_, want) in enumerate(made):
        assert same(function(library, f"e{k}", 3)(*at), want), body(emit_c(made[k][0], inputs))


@needs_compiler
@pytest.mark.parametrize("flag", ["-O0", "-O2"])
def test_large_expressions_are_written_in_parts_and_keep_their_bits(tmp_path, flag):
    pool = ExprPool()
    inputs = pool.symbols("x y z")
    at = (1.25, -0.75, 3.0)
    expr, want = random_expression(pool, inputs, at, 3_000, seed=5, reach=40)
    text = emit_c(expr, inputs)
    assert text.count("static void f_part") > 2
    assert same(function(program(tmp_path, text, flag), "f", 3)(*at), want)
    single = emit_c(expr, inputs, dtype="f32")
    program(tmp_path, single, "-O0")


def test_deep_expressions_need_no_recursion_here_or_in_the_compiler():
    pool = ExprPool()
    x = pool.symbol("x")
    expr = x
    for k in range(200_000):
        expr = sin(expr) if k % 7 == 0 else expr * 0.5 - x
    text = emit_c(expr, [x])
    assert all(len(line) < 150 and line.count("(") <= 17 for line in text.splitlines())


@needs_compiler
def test_outputs_are_stored_through_pointers(tmp_path):
    pool = ExprPool()
    x, y = pool.symbols("x y")
    outputs = [x * y + 1, x, pool.integer(7), sin(x * y), x, x < y]
    library = program(tmp_path, emit_c(outputs, [x, y]))
    out = (ctypes.c_double * len(outputs))()
    step = ctypes.sizeof(ctypes.c_double)
    pointers = [ctypes.c_void_p(ctypes.addressof(out) + k * step) for k in range(len(outputs))]
    library.f.argtypes = [ctypes.c_double] * 2 + [ctypes.c_void_p] * len(outputs)
    library.f.restype = None
    library.f(0.5, 3.0, *pointers)
    assert list(out) == [2.5, 0.5, 7.0, pytest.approx(math.sin(1.5), rel=1e-15), 0.5, 1.0]


@needs_compiler
def test_single_precision_rounds_every_operation_to_float(tmp_path):
    pool = ExprPool()
    x, y = pool.symbols("x y")
    expr = (x * y + 0.1) / 3 + where(x < y, sqrt(x), digamma(y) * polygamma(1, x))
    compiled = function(program(tmp_path, emit_c(expr, [x, y], dtype="f32")), "f", 2, ctypes.c_float)
    a, b = np.float32(1.7), np.float32(2.9)
    want = (a * b + np.float32(0.1)) / np.float32(3) + np.sqrt(a)
    assert compiled(a, b) == want
    want = (b * a + np.float32(0.1)) / np.float32(3) + np.float32(mpmath.digamma(float(a))) * np.float32(
        mpmath.polygamma(1, float(b))
    )
    assert compiled(b, a) == pytest.approx(float(want), rel=3e-7)


@needs_compiler
def test_texts_join_in_one_file_and_are_cpp_too(tmp_path):
    cpp = shutil.which("g++")
    if cpp is None:
        pytest.skip("no C++ compiler on this machine")
    pool = ExprPool()
    x, y = pool.symbols("x y")
    expr = digamma(x) + where(x < y, polygamma(2, y), max(x, cos(y)))
    text = emit_c(expr, [x, y], fn_name="f") + emit_c([expr, -expr], [x, y], fn_name="g", dtype="f32")
    (tmp_path / "joined.cpp").write_text(text)
    command = [cpp, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", tmp_path / "joined.cpp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    # g++ sees static functions that only one of two callers uses; both are used here.
    assert not done.returncode, done.stderr


# -- formats


def test_emit_asks_the_plugins(xy):
    x, y = xy
    assert emit(x * y, [x, y], format="c", fn_name="area") == emit_c(x * y, [x, y], fn_name="area")
    assert emit([x, y], [x, y]) == emit_c([x, y], [x, y])
    with pytest.raises(UnknownFormatError) as unknown:
        emit(x, [x], format="cobol")
    assert "c" in str(unknown.value)
