"""FPCore in and out, on files that others wrote."""

import itertools
import math
import random
import re
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest
from alkahest import ExprPool, eval_expr, from_fpcore, parse, to_fpcore
from alkahest.errors import (
    AlkahestError,
    DuplicateInputError,
    EmitError,
    FPCoreError,
    IdentifierError,
    OperandError,
    UnknownSymbolError,
)
from alkahest.expr.sexpr import Word
from alkahest.testing import strategies

FILES = Path(__file__).parents[4] / "examples" / "fpcore"
EXACT = 200  # bits: nothing that is compared below needs more


def one(text, pool=None):
    (core,) = from_fpcore(text, ExprPool() if pool is None else pool, strict=True)
    return core


def body(text, *names):
    """The expression of one core without further ado."""
    return one(f"(FPCore ({' '.join(names)}) {text})").expr


def value(e, **at):
    return eval_expr(e, {e.pool.symbol(k): v for k, v in at.items()}, allow_nonfinite=True)


# -- the files


def expected(name):
    """How many cores are read and refused: counted by hand (a core with `while` or `!` is refused)."""
    return {
        "rosa": (34, 3),
        "salsa": (0, 10),
        "daisy": (7, 0),
        "fptaylor-tests": (10, 0),
        "precimonious": (0, 2),
        "cancellation": (32, 0),
    }.get(name, (1, 0))


needs_files = pytest.mark.skipif(not FILES.is_dir(), reason="examples/ is not beside this package")
files = sorted(FILES.glob("*.fpcore"))


@needs_files
def test_the_files_are_there():
    assert len(files) == 9


@pytest.mark.parametrize("path", files, ids=lambda p: p.stem)
def test_cores_are_read_or_refused_one_by_one(path):
    text = path.read_text()
    cores = from_fpcore(text, ExprPool())
    assert (len(cores), len(cores.refused)) == expected(path.stem)
    lines = text.splitlines()
    for core in cores:
        assert lines[core.line - 1].startswith("(FPCore")
        assert {s.name for s in core.expr.free_symbols} <= {s.name for s in core.symbols}
    for refused in cores.refused:
        line = lines[refused.line - 1]
        assert "while" in line or "!" in line, refused
        assert f':name "{refused.name}"' in text


def oracle(form, env):
    """Evaluate a form by recursion with mpmath, to nearly unlimited precision."""
    if isinstance(form, str):
        return env[form] if form in env else mpmath.mpf(mpmath.mpmathify(form))
    head, *args = form
    if head in ("let", "let*"):
        inner = dict(env)
        for name, text in args[0]:
            inner[name] = oracle(text, inner if head == "let*" else env)
        return oracle(args[1], inner)
    if head == "if":
        return oracle(args[1] if oracle(args[0], env) else args[2], env)
    values = [oracle(a, env) for a in args]
    if head in ("<", "<=", ">", ">="):
        return all(RELATIONS[head](a, b) for a, b in itertools.pairwise(values))
    return FUNCTIONS[head, len(values)](*values)


RELATIONS = {"<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}
FUNCTIONS = {
    ("+", 2): lambda a, b: a + b,
    ("-", 2): lambda a, b: a - b,
    ("-", 1): lambda a: -a,
    ("*", 2): lambda a, b: a * b,
    ("/", 2): lambda a, b: a / b,
    ("pow", 2): mpmath.power,
    ("sqrt", 1): mpmath.sqrt,
    ("fabs", 1): abs,
    ("fmin", 2): min,
    ("fmax", 2): max,
    ("sin", 1): mpmath.sin,
    ("cos", 1): mpmath.cos,
    ("atan", 1): mpmath.atan,
    ("tan", 1): mpmath.tan,
    ("exp", 1): mpmath.exp,
    ("log", 1): mpmath.log,
    ("cbrt", 1): mpmath.cbrt,
    **{("and", n): lambda *a: all(a) for n in range(1, 12)},
}


def forms(text):
    """Read S-expressions the short way: as nested Python lists."""
    text = re.sub(r";[^\n]*", "", text)
    stack = [[]]
    for token in re.findall(r'"[^"]*"|[()\[\]]|[^\s()\[\]"]+', text):
        if token in "([":
            stack.append([])
        elif token in ")]":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    return stack[0]


@pytest.mark.parametrize("path", [p for p in files if expected(p.stem)[0]], ids=lambda p: p.stem)
def test_cores_mean_what_the_standard_says(path):
    """Numbers at random points against an evaluator written here, on mpmath."""
    draw = random.Random(7)
    text = path.read_text()
    found = {f[f.index(":name") + 1].strip('"'): f for f in forms(text)}
    with mpmath.workprec(EXACT):
        for core in from_fpcore(text, ExprPool()):
            form = found[core.name]
            for _ in range(3):
                at = {str(s.name): draw.uniform(0.3, 3.0) for s in core.symbols}
                env = {name: mpmath.mpf(v) for name, v in at.items()}
                points = {s: at[str(s.name)] for s in core.symbols}
                exact = oracle(form[-1], env)
                computed = eval_expr(core.expr, points, allow_nonfinite=True)
                if isinstance(exact, mpmath.mpc):  # the root of a negative number
                    assert math.isnan(computed)
                    continue
                scale = max(1.0, *(abs(v) for v in at.values())) ** 8
                assert computed == pytest.approx(float(exact), rel=1e-9, abs=1e-9 * scale)
                if core.pre is not None:
                    assert bool(eval_expr(core.pre, points)) == oracle(form[form.index(":pre") + 1], env)


@pytest.mark.parametrize("path", files, ids=lambda p: p.stem)
def test_what_is_written_is_read_as_the_same_node(path):
    pool = ExprPool()
    for core in from_fpcore(path.read_text(), pool):
        again = one(str(core), pool)
        assert (again.expr, again.pre, again.symbols) == (core.expr, core.pre, core.symbols)
        assert (again.name, again.dtype) == (core.name, core.dtype)
        assert all(again.properties[k] == v for k, v in core.properties.items() if k not in ("pre", "precision"))


# -- the language


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("12", Fraction(12)),
        ("-0.25", Fraction(-1, 4)),
        ("+.5e1", Fraction(5)),
        ("1e-3", Fraction(1, 1000)),
        ("-4/6", Fraction(-2, 3)),
        ("0x1.8p1", Fraction(3)),
        ("-0x.8", Fraction(-1, 2)),
        ("0xFFp-4", Fraction(255, 16)),
        ("(digits 3 -2 2)", Fraction(3, 4)),
        ("(digits -7 3 10)", Fraction(-7000)),
    ],
)
def test_numbers_are_exact(text, exact):
    assert body(text).value == exact


@pytest.mark.parametrize(
    "name",
    "E LOG2E LOG10E LN2 LN10 PI PI_2 PI_4 M_1_PI M_2_PI M_2_SQRTPI SQRT2 SQRT1_2 TRUE FALSE".split(),
)
def test_constants(name):
    with mpmath.workprec(EXACT):
        exact = {
            "E": mpmath.e,
            "LOG2E": 1 / mpmath.log(2),
            "LOG10E": 1 / mpmath.log(10),
            "LN2": mpmath.log(2),
            "LN10": mpmath.log(10),
            "PI": mpmath.pi,
            "PI_2": mpmath.pi / 2,
            "PI_4": mpmath.pi / 4,
            "M_1_PI": 1 / mpmath.pi,
            "M_2_PI": 2 / mpmath.pi,
            "M_2_SQRTPI": 2 / mpmath.sqrt(mpmath.pi),
            "SQRT2": mpmath.sqrt(2),
            "SQRT1_2": 1 / mpmath.sqrt(2),
            "TRUE": mpmath.mpf(1),
            "FALSE": mpmath.mpf(0),
        }
        assert value(body(name)) == float(+exact[name])


UNARY = (
    "exp expm1 log log10 log2 log1p sqrt cbrt sin cos tan asin acos atan sinh cosh tanh asinh atanh erf erfc lgamma"
).split()


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_argument(name):
    names = {"log1p": lambda x: mpmath.log(1 + x), "log2": lambda x: mpmath.log(x, 2), "lgamma": mpmath.loggamma}
    exact = names.get(name) or getattr(mpmath, name)
    assert value(body(f"({name} x)", "x"), x=0.3) == pytest.approx(float(exact(mpmath.mpf(0.3))), rel=1e-14)


@pytest.mark.parametrize(
    ("text", "result"),  # C11 7.12 gives these
    [
        ("(- x)", -2.5),
        ("(fabs (- x))", 2.5),
        ("(exp2 x)", 2**2.5),
        ("(tgamma 5)", 24.0),
        ("(acosh x)", math.acosh(2.5)),
        ("(pow x 2)", 6.25),
        ("(hypot 3 4)", 5.0),
        ("(atan2 1 -1)", math.atan2(1, -1)),
        ("(fma x 2 1)", 6.0),
        ("(ceil (- x))", -2.0),
        ("(floor (- x))", -3.0),
        ("(trunc (- x))", -2.0),
        ("(round x)", 3.0),
        ("(round (- x))", -3.0),
        ("(nearbyint x)", 2.0),
        ("(nearbyint 3.5)", 4.0),
        ("(fmod -7 3)", -1.0),
        ("(remainder 5 3)", -1.0),
        ("(fmax x 3)", 3.0),
        ("(fmin x 3)", 2.5),
        ("(fmax (sqrt -1) x)", 2.5),
        ("(fdim x 1)", 1.5),
        ("(fdim 1 x)", 0.0),
        ("(copysign 3 (- x))", -3.0),
        ("(cast x)", 2.5),
        ("(isnan x)", 0.0),
        ("(isnan (sqrt -1))", 1.0),
        ("(isinf (/ x 0))", 1.0),
        ("(isinf (sqrt -1))", 0.0),
        ("(isinf x)", 0.0),
        ("(isfinite x)", 1.0),
        ("(isfinite (- (/ x 0)))", 0.0),
        ("(isfinite (sqrt -1))", 0.0),
        ("(isnormal x)", 1.0),
        ("(isnormal 0)", 0.0),
        ("(isnormal 1e-310)", 0.0),
        ("(isnormal (digits 1 -1022 2))", 1.0),
        ("(signbit (- x))", 1.0),
        ("(signbit (- 0))", 1.0),
        ("(signbit 0)", 0.0),
        ("(< 1 x 3)", 1.0),
        ("(< 1 x 2)", 0.0),
        ("(<= 2.5 x 2.5)", 1.0),
        ("(> 3 x x)", 0.0),
        ("(>= 3 x x)", 1.0),
        ("(== x x 2.5)", 1.0),
        ("(!= 1 x 1)", 0.0),
        ("(!= 1 x 3)", 1.0),
        ("(< x)", 1.0),
        ("(and (< x 3) (> x 2) TRUE)", 1.0),
        ("(or FALSE (> x 3))", 0.0),
        ("(not (< x 3))", 0.0),
        ("(=> (> x 3) FALSE)", 1.0),
        ("(if (< x 3) 10 20)", 10.0),
        ("(let ([x 1] [y x]) (+ (* 10 x) y))", 12.5),
        ("(let* ([x 1] [y x]) (+ (* 10 x) y))", 11.0),
        ("(let ([a x] [b 2]) (let ([a b] [b a]) (- a b)))", -0.5),
        ("(+ (let ([x 1]) x) x)", 3.5),
        ("(let ([PI 3]) PI)", 3.0),
        ("(let () x)", 2.5),
    ],
)
def test_operations_and_scopes(text, result):
    assert value(body(text, "x"), x=2.5) == pytest.approx(result, rel=1e-15)


def test_classification_knows_the_precision():
    text = "(FPCore (x) :precision {} (isfinite x))"
    assert value(one(text.format("binary64")).expr, x=1e39) == 1.0
    assert value(one(text.format("binary32")).expr, x=1e39) == 0.0


def test_a_core_can_be_called_by_later_ones():
    pool = ExprPool()
    cores = from_fpcore('(FPCore square (x) (* x x)) (FPCore (y) :name "n" (square (+ y 1)))', pool)
    y = pool.symbol("y")
    assert cores[1].expr == (y + 1) * (y + 1)
    assert (cores[0].name, cores[0].identifier, cores[1].name) == ("square", "square", "n")


def test_records():
    pool = ExprPool()
    core = one(
        '; a comment\n(FPCore (t* y)\n :name "a \\"name\\"" :cite (k-1987 42 2/3) :precision binary32\n'
        ' :note "two\nlines"\n'
        " :pre (<= 0 t* 1) (+ t* y))",
        pool,
    )
    assert core.name == 'a "name"'
    assert [s.name for s in core.symbols] == ["t*", "y"]
    assert core.symbols[0] == pool.symbol("t*")
    assert (core.precision, core.dtype, core.line) == ("binary32", "f32", 2)
    assert core.properties["cite"] == ("k-1987", 42, Fraction(2, 3))
    assert isinstance(core.properties["cite"][0], Word)
    assert core.properties["note"] == "two\nlines"
    assert not isinstance(core.properties["note"], Word)
    assert core.pre == parse("0 <= `t*` and `t*` <= 1", pool)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("(FPCore (x)\n (while (< x 1) ([x x (+ x 1)]) x))", 2, "loops"),
        ("(FPCore (x)\n\n (for ([i 3]) ([y 0 (+ y x)]) y))", 3, "loops"),
        ("(FPCore (x) (! :precision binary32 x))", 1, "annotations"),
        ("(FPCore ((! :precision binary32 x)) x)", 1, "annotated"),
        ("(FPCore ((A 3)) (ref A 0))", 1, "tensor"),
        ("(FPCore (x) (array x x))", 1, "tensors"),
        ("(FPCore (x)\n :precision binary128 x)", 2, "binary128"),
        ("(FPCore (x) :precision (float 5 16) x)", 1, "precision"),
        ("(FPCore (x) :round toZero x)", 1, "toZero"),
        ("(FPCore (x) (+ x INFINITY))", 1, "INFINITY"),
        ("(FPCore (x) (+ x NAN))", 1, "NAN"),
        ("(FPCore (x) 1e99999999)", 1, "out of range"),
        ("(FPCore (x) (digits 1 99999999 2))", 1, "digits"),
    ],
)
def test_what_is_not_supported_is_refused_alone(text, line, reason):
    whole = f'{text}\n(FPCore (x) :name "kept" (* x x))'
    cores = from_fpcore(whole, ExprPool())
    assert [c.name for c in cores] == ["kept"]
    (refused,) = cores.refused
    assert refused.line == line
    assert reason in refused.reason
    with pytest.raises(FPCoreError) as caught:
        from_fpcore(whole, ExprPool(), strict=True)
    assert caught.value.line == line


def test_what_calls_a_refused_core_is_refused():
    text = "(FPCore f (x) (! x)) (FPCore g (x) (f x)) (FPCore h (x) (g x)) (FPCore (x) x)"
    cores = from_fpcore(text, ExprPool())
    assert len(cores) == 1
    assert [r.reason for r in cores.refused[1:]] == ["the core f is refused", "the core g is refused"]
    single = "(FPCore f (x) :precision binary32 (sin x))\n(FPCore g (x) (f x))"
    assert [(r.line, r.reason) for r in from_fpcore(single, ExprPool()).refused] == [(2, "f has another precision")]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "no FPCore"),
        ("; a comment\n", 1, "no FPCore"),
        ("hello world", 1, "no FPCore"),
        ("(define x 1)", 1, "no FPCore"),
        ("\n()", 2, "no FPCore"),
        ("(FPCore (x) y)", 1, "y is not bound"),
        ("(FPCore (x)\n (+ x y))", 2, "y is not bound"),
        ("(FPCore (x) (let ([y y]) y))", 1, "y is not bound"),
        ("(FPCore (x) :pre (< y 1) x)", 1, "y is not bound"),
        ("(FPCore (x) (let ([a 1] [a 2]) a))", 1, "twice"),
        ("(FPCore (x) (let ([a 1 2]) a))", 1, "pair"),
        ("(FPCore (x) (let ([a 1]) a a))", 1, "let takes"),
        ("(FPCore (x x) x)", 1, "listed twice"),
        ("(FPCore (1) 1)", 1, "no name"),
        ("(FPCore (()) 1)", 1, "no name"),
        ("(FPCore (x) (sinn x))", 1, "sinn is not known"),
        ("(FPCore (x) (sin x x))", 1, "sin does not take 2"),
        ("(FPCore (x) (+ x x x))", 1, "+ does not take 3"),
        ("(FPCore (x) (if x 1))", 1, "if does not take 2"),
        ("(FPCore (x) (and))", 1, "and does not take 0"),
        ("(FPCore (x) (digits 1 2 1))", 1, "digits"),
        ("(FPCore (x) (digits x 2 2))", 1, "digits"),
        ("(FPCore (x) 1x)", 1, "neither number nor name"),
        ("(FPCore (x) 1/0)", 1, "neither number nor name"),
        ('(FPCore (x) "x")', 1, "neither number nor name"),
        ("(FPCore (x) ((+ x)))", 1, "no operation"),
        ("(FPCore (x) ())", 1, "no operation"),
        ("(FPCore (x) :name)", 1, "no value"),
        ("(FPCore (x))", 1, "one body"),
        ("(FPCore (x) x\n x)", 2, "one body"),
        ("(FPCore)", 1, "no list of arguments"),
        ("(FPCore x)", 1, "no list of arguments"),
        ("(FPCore f (x) (f x))", 1, "f is not known"),
        ("(FPCore f (x) x)\n(FPCore (x) (f x x))", 2, "f takes 1"),
    ],
)
def test_what_is_no_fpcore_raises(text, line, reason, strict):
    with pytest.raises(FPCoreError) as caught:
        from_fpcore(text and f"{text}\n", ExprPool(), strict=strict)
    assert caught.value.line == line
    assert reason in str(caught.value)


@pytest.mark.parametrize("text", ["-0.0", "-.0", "-0.", "-0e7", "-0x0p3", "-0x0.0"])
def test_minus_zero_keeps_its_sign(text):
    e = body(f"(copysign 2 {text})")
    assert value(e) == -2.0
    assert body(text).op == "float"
    assert one(to_fpcore(e, []), e.pool).expr == e


@pytest.mark.parametrize("text", ["0.0", "-0", "-0/3", "+0.0"])
def test_other_zeros_are_exact(text):
    assert body(text).op == "integer"


@pytest.mark.parametrize(
    ("text", "line"),
    [("(FPCore (x)\n (+ x 1)", 1), ("(FPCore (x) x))", 1), ("(FPCore (x)\n [+ x 1))", 2), ('\n\n"open', 3)],
)
def test_text_that_is_no_sequence_of_forms_is_refused_as_a_whole(text, line):
    with pytest.raises(FPCoreError) as caught:
        from_fpcore(text, ExprPool())
    assert caught.value.line == line


def test_only_text_is_read():
    with pytest.raises(OperandError):
        from_fpcore(b"(FPCore (x) x)", ExprPool())


@given(st.text(alphabet='()[] \n";:xFPCore+-*/01.e!let', max_size=60))
def test_any_text_is_read_or_refused(text):
    for candidate in (text, f"(FPCore (x) {text})"):
        with suppress(FPCoreError):  # nothing else may come out
            assert all(
                core.expr.pool is core.symbols[0].pool for core in from_fpcore(candidate, ExprPool()) if core.symbols
            )


# -- writing


def walk(e):
    seen, stack = {}, [e]
    while stack:
        node = stack.pop()
        if node.id not in seen:
            seen[node.id] = node
            stack.extend(node.args)
    return list(seen.values())


SAYABLE = [op for op in strategies.op_names() if op != "digamma"]


@given(strategies.exprs(ops=SAYABLE, max_ops=12), strategies.points())
def test_numbers_survive_writing_and_reading(e, at):
    pool = e.pool
    symbols = pool.symbols("x y")
    again = one(to_fpcore(e, symbols), pool)
    points = dict(zip(symbols, at, strict=True))
    before, after = eval_expr(e, points, allow_nonfinite=True), eval_expr(again.expr, points, allow_nonfinite=True)
    assert before == after or (math.isnan(before) and math.isnan(after))


ARITHMETIC = "add sub mul div neg pow sin exp sqrt fmin fmax round round_away abs hypot fma".split()


@given(strategies.exprs(ops=ARITHMETIC, max_ops=12))
def test_what_fpcore_can_say_comes_back_as_the_same_node(e):
    if not any(n.op == "float" for n in walk(e)):
        assert one(to_fpcore(e, e.pool.symbols("x y")), e.pool).expr == e


def test_sharing_is_written_once():
    pool = ExprPool()
    x = pool.symbol("x")
    e = x
    for k in range(100_000):
        e = e * e + k
    text = to_fpcore(e, [x])
    assert len(text) < 6_000_000
    assert one(text, pool).expr == e


def test_deep_chains_are_written_and_read():
    pool = ExprPool()
    x = pool.symbol("x")
    e = x
    for _ in range(100_000):
        e = alkahest.sin(e)
    assert one(to_fpcore(e, [x]), pool).expr == e


def test_layout():
    pool = ExprPool()
    x, y = pool.symbols("x t1")
    e = (x + y) / (1 + abs(x + y)) + pool.rational(1, 3) * pool.pi
    properties = {"cite": (Word("a-1987"), 3, "text"), "spec": x + y, "weight": 0.5}
    text = to_fpcore(e, [x, y], name='a "b"', pre=alkahest.lt(0, x) & (y <= 1), properties=properties)
    assert text.split("\n") == [
        "(FPCore (x t1)",
        ' :name "a \\"b\\""',
        " :precision binary64",
        " :pre (and (< 0 x) (<= t1 1))",
        ' :cite (a-1987 3 "text")',
        " :spec (+ x t1)",
        " :weight 0.5",
        " (let* ([t2 (+ x t1)])",
        "  (+ (/ t2 (+ 1 (fabs t2))) (* 1/3 PI))))",
    ]


def test_an_argument_may_carry_the_name_of_a_constant():
    pool = ExprPool()
    e, pi = pool.symbols("E PI")
    core = one(to_fpcore(e * pool.e + pi * pool.pi, [e, pi]), pool)
    assert value(core.expr, E=2.0, PI=3.0) == pytest.approx(2 * math.e + 3 * math.pi, rel=1e-15)


@pytest.mark.parametrize(
    ("build", "error", "hint"),
    [
        (lambda x, y: to_fpcore(alkahest.digamma(x), [x]), EmitError, "digamma"),
        (lambda x, y: to_fpcore(x + y, [x]), UnknownSymbolError, "y"),
        (lambda x, y: to_fpcore(x, [x, x]), DuplicateInputError, "x"),
        (lambda x, y: to_fpcore(x, [x, x.pool.symbol("x", domain="positive")]), DuplicateInputError, "x"),
        (lambda x, y: to_fpcore(x, [x, x.pool.symbol("λ")]), IdentifierError, "λ"),
        (lambda x, y: to_fpcore(x, [x, x.pool.symbol("1/2")]), IdentifierError, "1/2"),
        (lambda x, y: to_fpcore(x, [x], precision="binary64) ("), IdentifierError, "binary64"),
        (lambda x, y: to_fpcore(x, [x], properties={"a b": 1}), IdentifierError, "a b"),
        (lambda x, y: to_fpcore(x, [x], properties={"a": object()}), EmitError, "object"),
    ],
)
def test_what_cannot_be_written(build, error, hint):
    with pytest.raises(error) as caught:
        build(*ExprPool().symbols("x y"))
    assert isinstance(caught.value, AlkahestError)
    assert hint in str(caught.value)
