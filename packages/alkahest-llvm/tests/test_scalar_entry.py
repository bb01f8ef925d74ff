"""The scalar entry: a C function object over Python numbers."""

import contextlib
import ctypes
import gc
import sys
import weakref
from fractions import Fraction

import numpy as np
import pytest

from alkahest.errors import ArrayError, DtypeError, NumberOverflowError
from alkahest.extend import AlkahestError, ArityError, CompileOptions, Instr, Tape
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.loading import scalar_entry
from alkahest_llvm.loading.object_layout import holds, object_layout

PRODUCT = Tape(("x", "y"), (), (Instr("mul", (0, 1)),), (2,))


@pytest.fixture(params=["objects as they lie", "stable interface"])
def layout(request, monkeypatch):
    """Run a test with the shorter way for floats, and without."""
    if request.param == "stable interface":
        monkeypatch.setattr(scalar_entry, "object_layout", lambda: None)
    elif object_layout() is None:
        pytest.skip("the layout of objects is not known on this Python")
    scalar_entry._functions.cache_clear()
    yield request.param
    scalar_entry._functions.cache_clear()


@pytest.fixture(params=[LLVMBackend, LLVMFastBackend])
def compiled(request, layout):
    return lambda tape, **options: request.param().compile(tape, CompileOptions(**options))


@pytest.fixture
def product(compiled):
    return compiled(PRODUCT).scalar


def test_forms_of_a_call(product):
    for call in ([3.0, 0.5], (3.0, 0.5)):
        assert product(call) == 1.5
    assert product(3.0, 0.5) == 1.5
    assert product([3, Fraction(1, 2)]) == 1.5
    assert product(np.float32(3), np.int64(2)) == 6.0
    assert product((True, -1)) == -1.0
    assert type(product(3, 4)) is float


def test_subclasses_of_list_and_tuple(product):
    class Row(list):
        pass

    class Pair(tuple):
        __slots__ = ()

    assert product(Row([2.0, 4.0])) == product(Pair((2.0, 4.0))) == 8.0


def test_one_input_takes_a_bare_number(compiled):
    root = compiled(Tape(("x",), (), (Instr("sqrt", (0,)),), (1,))).scalar
    assert root(4.0) == root([4.0]) == root((4,)) == 2.0


def test_several_outputs_no_inputs_no_outputs(compiled):
    assert compiled(Tape(("x",), (7.0,), (Instr("neg", (0,)),), (2, 1, 0))).scalar(2.0) == [-2.0, 7.0, 2.0]
    nothing_in = compiled(Tape((), (0.1,), (), (0,))).scalar
    assert nothing_in() == nothing_in([]) == nothing_in(()) == 0.1
    assert compiled(Tape(("x",), (), (), ())).scalar(1.0) == []


def test_many_inputs_and_outputs(compiled):
    names = tuple(f"x{k}" for k in range(200))
    identity = compiled(Tape(names, (), (), tuple(range(200)))).scalar
    assert identity(list(range(200))) == identity(*range(200)) == list(map(float, range(200)))


def test_single_precision_rounds_arguments_and_result(compiled):
    tenth = compiled(Tape(("x",), (), (Instr("mul", (0, 0)),), (1,)), dtype="f32").scalar
    assert tenth(0.1) == float(np.float32(0.1) * np.float32(0.1))


@pytest.mark.parametrize("arguments", [(), (1.0,), (1.0, 2.0, 3.0), ([1.0],), ((1.0, 2.0, 3.0),), ([],)])
def test_wrong_number_of_arguments(product, arguments):
    with pytest.raises(ArityError, match=r"takes 2 inputs \(x, y\) and was called with \d\.") as caught:
        product(*arguments)
    assert isinstance(caught.value, TypeError)
    assert caught.value.remedy


@pytest.mark.parametrize("arguments", [("a", 1.0), ([1.0, None],), ((1j, 2.0),), ([[1.0], 2.0],), (10**400, 1)])
def test_what_is_no_number(product, arguments):
    with pytest.raises(AlkahestError) as caught:
        product(*arguments)
    assert isinstance(caught.value, ArrayError | DtypeError | NumberOverflowError)
    assert caught.value.remedy


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.bool_, Fraction, bool, int])
def test_numbers_of_other_types(product, kind):
    assert product([kind(1), 2.5]) == product((2.5, kind(1))) == product(kind(1), 2.5) == 2.5


@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
def test_no_imaginary_part_is_dropped(product, kind):
    with pytest.raises(DtypeError):
        product(kind(1 + 2j), 3.0)


def test_keywords_are_refused(product):
    with pytest.raises(TypeError):
        product(x=1.0, y=2.0)


class Number:
    def __init__(self, value):
        self.value = value

    def __float__(self):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def test_errors_of_a_conversion_come_through(product):
    with pytest.raises(ZeroDivisionError, match="mine"):
        product([Number(ZeroDivisionError("mine")), 1.0])
    with pytest.raises(OverflowError):
        product(10**400, 1)
    with pytest.raises(KeyError):
        product(1.0, Number(KeyError("k")))


def test_minus_one_is_a_value(product):
    assert product(-1.0, 1.0) == product([-1, Number(1.0)]) == product((Number(-1.0), 1)) == -1.0


def test_a_list_that_changes_while_it_is_read(product):
    values = []

    class Shrinking:
        def __float__(self):
            values.clear()
            gc.collect()
            return 2.0

    values[:] = [Shrinking(), 5.0]
    assert product(values) == 10.0

    class Replacing:
        def __float__(self):
            values[:] = [0.0, 7.0, 9.0]
            return 3.0

    values[:] = [Replacing(), 5.0]
    assert product(values) == 15.0


def test_references_are_balanced(product):
    class Failing:
        def __float__(self):
            raise ValueError

    x, y, both, failing = 1.25e10, 3.5e10, [1.25e11, 3.5e11], [Failing(), 1.0]
    kept = [x, y, both, both[0], failing, failing[0], product, product.__self__]

    def references():
        gc.collect()
        return [sys.getrefcount(k) for k in kept]

    def use():
        for _ in range(1000):
            product(x, y)
            product(both)
            product((x, y))
            for wrong in ((failing,), (x,), ("a", y)):
                with contextlib.suppress(ValueError, TypeError):
                    product(*wrong)

    use()
    before = references()
    use()
    after = references()
    assert after == before


def test_memory_does_not_grow(compiled):
    pair = compiled(Tape(("x",), (), (Instr("neg", (0,)),), (0, 1))).scalar
    gc.collect()
    blocks = sys.getallocatedblocks()
    for k in range(20000):
        pair([float(k)])
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 100


def test_the_function_outlives_its_kernel(compiled):
    kernel = compiled(PRODUCT)
    function, seen = kernel.scalar, weakref.ref(kernel)
    del kernel
    gc.collect()
    assert seen() is None
    for other in range(50):  # memory of the kernel, if freed, would be used again
        compiled(Tape(("x",), (float(other),), (Instr("add", (0, 1)),), (2,)))
    assert function([6.0, 7.0]) == 42.0


def test_a_cycle_with_its_function_is_collected(compiled):
    kernel = compiled(PRODUCT)
    kernel.me = [kernel, kernel.scalar]
    seen = weakref.ref(kernel)
    del kernel
    gc.collect()
    assert seen() is None


def test_the_layout_of_objects_is_checked():
    layout = object_layout()
    if layout is None:
        pytest.skip("the layout of objects is not known on this Python")
    assert holds(layout)
    assert not holds(layout._replace(type=layout.size))
    assert not holds(layout._replace(float_value=layout.type))
    assert not holds(layout._replace(size=layout.type))
    assert not holds(layout._replace(tuple_items=layout.size))
    assert not holds(layout._replace(bytes_start=layout.size))


def test_no_layout_without_a_global_lock(monkeypatch):
    monkeypatch.setattr("sysconfig.get_config_var", lambda name: 1 if name == "Py_GIL_DISABLED" else None)
    assert object_layout.__wrapped__() is None


def test_without_a_layout_calls_stay_pythons(compiled, layout):
    entry = compiled(PRODUCT).scalar.__self__.call_entry(print, ctypes.c_int64(5))
    assert (entry is None) == (layout == "stable interface")


def test_calls_are_counted_and_handed_over():
    if object_layout() is None:
        pytest.skip("the layout of objects is not known on this Python")
    scalar, seen = LLVMBackend().compile(PRODUCT, CompileOptions()).scalar, []

    def fallback(*arguments, **keywords):
        seen.append((arguments, keywords))
        return "handed over"

    left = ctypes.c_int64(3)
    by_list = scalar.__self__.call_entry(fallback, left)
    by_numbers = scalar.__self__.call_entry(fallback, left, numbers=True, gives_list=True)
    assert by_list([2.0, 3.0]) == 6.0
    assert by_numbers(2.0, 3) == [6.0]
    assert left.value == 1
    others = [((2.0, 3.0), {}), (([1.0],), {}), (([1.0, "a"],), {}), (([1.0, 2.0],), {"out": 1}), ((), {})]
    for arguments, keywords in others:
        assert by_list(*arguments, **keywords) == "handed over"
    assert seen == others
    assert left.value == 1, "what is handed over is not counted"
    seen.clear()
    assert by_list((2.0, 3.0)) == 6.0
    assert by_list([2.0, 3.0]) == by_numbers(2.0, 3.0) == "handed over"
    assert seen == [(([2.0, 3.0],), {}), ((2.0, 3.0), {})]
    left.value = 1
    assert by_numbers(2.0, 5.0) == [10.0]


def test_errors_of_a_fallback_come_through():
    if object_layout() is None:
        pytest.skip("the layout of objects is not known on this Python")

    def fallback(*arguments):
        raise ZeroDivisionError("mine")

    entry = LLVMBackend().compile(PRODUCT, CompileOptions()).scalar.__self__.call_entry(fallback, ctypes.c_int64(9))
    with pytest.raises(ZeroDivisionError, match="mine"):
        entry(1.0)
    assert entry([2.0, 2.0]) == 4.0
