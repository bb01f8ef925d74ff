"""PTX as text: what ptxas accepts, what is in it, what is refused. No GPU and no driver is needed."""

import re
import subprocess
import sys

import pytest

from alkahest import ExprPool, cos, emit, exp, polygamma, sin
from alkahest.extend import (
    CompileOptions,
    ConfigError,
    EmitError,
    IdentifierError,
    Instr,
    Tape,
    arity_of,
    prim_names,
)
from alkahest.testing import corpus
from alkahest_gpu import emit_ptx
from alkahest_gpu.nvptx import ARCHITECTURES, INLINED_KERNELS, MAX_COLUMNS, MAX_INSTRUCTIONS, kernel_ir, refusal

PRODUCT_AND_SUM = Tape(("x", "y"), (), (Instr("mul", (0, 0)), Instr("add", (2, 1))), (3,))
# What a scientist's formula needs at least; more may come.
NEEDED = frozenset(
    """
    add sub mul div neg fma pow abs sign floor ceil trunc round round_away min max fmin fmax copysign sqrt cbrt exp
    expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh lt le gt ge eq ne and or not where
    """.split()
)


def op_tape(op):
    n = arity_of(op)
    return Tape(tuple("xyz"[:n]), (), (Instr(op, tuple(range(n))),), (n,))


SUPPORTED = [op for op in prim_names() if not refusal(op_tape(op))]


def test_the_functions_that_are_needed_are_there():
    assert set(SUPPORTED) >= NEEDED


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("op", SUPPORTED)
def test_ptxas_takes_every_function(assembles, op, arch, dtype):
    said = assembles(emit_ptx(op_tape(op), arch=arch, dtype=dtype), arch)
    assert "0 bytes spill stores" in said


@pytest.mark.parametrize("case", corpus(), ids=lambda case: case.name)
def test_ptxas_takes_the_corpus(assembles, case):
    assembles(emit_ptx(case.tape()), "sm_80")


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture(assembles, arch):
    ptx = emit_ptx(PRODUCT_AND_SUM, arch=arch)
    assert f"\n.target {arch}\n" in ptx
    version = ARCHITECTURES[arch].removeprefix("ptx")
    assert f"\n.version {version[:-1]}.{version[-1]}\n" in ptx
    assembles(ptx, arch)


def instructions(ptx):
    """Return the names of the instructions in order, those that a loop over points is made of."""
    return re.findall(r"^\t(?:@%p\d+ )?((?:add|sub|mul|fma|div|sqrt|ld\.global|st\.global|bra)[\w.]*)", ptx, re.M)


def test_the_kernel_of_a_small_formula():
    ptx = emit_ptx(PRODUCT_AND_SUM, arch="sm_90", name="axpy")
    signature = re.search(r"\.visible \.entry axpy\((.*?)\)", ptx, re.S)
    assert [p.split()[1] for p in signature[1].split(",")] == [".u64"] * 4
    in_loop = ptx.split("$L__BB0_2:")[1].split("bra")[0]
    found = re.findall(r"^\t(ld\.global\.nc|st\.global|fma\.rn\.f64|mul\.rn\.f64|add\.rn\.f64|call)", in_loop, re.M)
    assert found == ["ld.global.nc", "ld.global.nc", "fma.rn.f64", "st.global"]


def test_without_contraction_every_operation_is_rounded():
    """PTX lets ptxas fuse `mul` and `add` unless they say `.rn`."""
    for dtype, kind in (("f64", "f64"), ("f32", "f32")):
        found = [i for i in instructions(emit_ptx(PRODUCT_AND_SUM, dtype=dtype, contract=False)) if i.endswith(kind)]
        assert found == [f"mul.rn.{kind}", f"add.rn.{kind}"]


@pytest.mark.parametrize("op", ["div", "sqrt"])
def test_division_and_square_root_in_single_precision_follow_ieee(op):
    assert f"{op}.rn.f32" in emit_ptx(op_tape(op), dtype="f32")


def test_no_library_is_needed():
    for op in SUPPORTED:
        assert ".extern" not in emit_ptx(op_tape(op)), op


def test_several_outputs_and_none():
    two = emit_ptx(Tape(("x",), (2.0,), (Instr("sin", (0,)),), (2, 1)))
    assert two.count("st.global") == 2
    none = emit_ptx(Tape(("x",), (), (), ()))
    assert "st.global" not in none


def test_many_functions_are_called_few_are_inlined(assembles):
    def chain(length):
        return Tape(("x",), (), tuple([Instr("sin", (k,)) for k in range(length)]), (length,))

    assert "call.uni" not in emit_ptx(chain(INLINED_KERNELS))
    long = emit_ptx(chain(500))
    assert long.count("call.uni") > 500
    assert len(long) < 100 * len(emit_ptx(chain(1)))
    assembles(long, "sm_80")


def test_a_formula_is_emitted_by_the_format_ptx(assembles):
    pool = ExprPool()
    x, y = pool.symbols("x y")
    f = x**2 + sin(y) * exp(-x)
    ptx = emit(f, [x, y], format="ptx", arch="sm_90", name="f")
    assert ".visible .entry f(" in ptx
    assembles(ptx, "sm_90")
    gradient = emit([2 * x - sin(y) * exp(-x), cos(y) * exp(-x), 1], [x, y], format="ptx", dtype="f32")
    assert gradient.count("st.global") == 3
    assembles(gradient, "sm_80")
    assert ".visible .entry alkahest_kernel(" in emit(x, x, format="ptx")


def test_functions_without_gpu_code_are_named():
    n, x = ExprPool().symbols("n x")
    with pytest.raises(EmitError, match="no LLVM lowering for polygamma of an order"):
        emit(polygamma(n, x) + sin(x), [n, x], format="ptx")


@pytest.mark.parametrize(
    ("tape", "reason"),
    [
        (Tape(("x",), (), (Instr("neg", (0,)),) * (MAX_INSTRUCTIONS + 1), (1,)), "has 10,001 operations"),
        (Tape(tuple(f"x{k}" for k in range(MAX_COLUMNS)), (), (), (0,)), "has 512 inputs and outputs"),
        (Tape(("x",), (), (Instr("unheard_of", (0,)),), (1,)), "no LLVM lowering for unheard_of"),
    ],
)
def test_refusals_say_why(tape, reason):
    assert reason in refusal(tape)
    with pytest.raises(EmitError, match=reason):
        emit_ptx(tape)


def test_as_many_columns_as_a_kernel_takes(assembles):
    assembles(emit_ptx(Tape(tuple(f"x{k}" for k in range(MAX_COLUMNS - 1)), (), (), (0,))), "sm_80")


@pytest.mark.parametrize("name", ["", "1st", "a b", "a(", "_", "WARP_SZ", "point", "größe", "alkahest_sin_x1"])
def test_names_that_ptx_does_not_take(name):
    with pytest.raises(IdentifierError):
        emit_ptx(op_tape("sin"), name=name)


@pytest.mark.parametrize("name", ["add", "tid", "entry", "_x", "main", "x0", "loop"])
def test_names_that_look_like_instructions_are_fine(assembles, name):
    assembles(emit_ptx(op_tape("sin"), name=name), "sm_80")


def test_unknown_settings():
    with pytest.raises(ConfigError, match="sm_20"):
        emit_ptx(PRODUCT_AND_SUM, arch="sm_20")
    with pytest.raises(ConfigError, match="f16"):
        emit_ptx(PRODUCT_AND_SUM, dtype="f16")
    x = ExprPool().symbol("x")
    with pytest.raises(EmitError, match="no expression was given"):
        emit([], [x], format="ptx")


def test_ir_stands_alone():
    """The triple comes first, or LLVM would take the module for the host's."""
    ir = kernel_ir(PRODUCT_AND_SUM, CompileOptions())
    assert ir.startswith('target triple = "nvptx64-nvidia-cuda"\n')


def test_emitting_again_gives_the_same_text():
    assert emit_ptx(op_tape("exp")) == emit_ptx(op_tape("exp"))


def test_describing_the_tier_imports_nothing_heavy():
    code = """
import sys
from alkahest_gpu import plugin
plugin.alkahest_backends(); plugin.alkahest_emitters()
print([m for m in ("llvmlite", "numpy", "cuda", "alkahest_llvm") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
