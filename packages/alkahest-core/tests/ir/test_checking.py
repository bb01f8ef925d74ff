"""Programs that are not well formed are found out."""

from __future__ import annotations

import pytest

import alkahest as af
from alkahest.errors import OperandTypeError, ProgramError
from alkahest.extend import IR, FloatAVal, IntAVal, IREqn, IRVar, Prim, StrAVal, Zero, concat_p, match_p, rules
from alkahest.ir.checking import check, checked


def var(aval=None, **kw):
    return IRVar(aval=aval or StrAVal(), **kw)


def program(eqns, ins, out, **kw):
    return IR(eqns, ins, out, **kw)


def test_what_is_used_must_be_defined_before():
    x, y, z = var(), var(), var()
    eqn = IREqn(concat_p, (x, y), z)
    with pytest.raises(ProgramError, match=r"used by the equation `c:str = concat\(a:str, b:str\)`"):
        check(program([eqn], (x,), z))
    with pytest.raises(ProgramError, match="used by the output"):
        check(program([], (x,), z))
    with pytest.raises(ProgramError, match="used by the equation"):
        check(program([IREqn(concat_p, (z,), y), eqn], (x,), z))


def test_each_variable_is_defined_once():
    x, y = var(), var()
    eqn = IREqn(concat_p, (x,), y)
    with pytest.raises(ProgramError, match="a second time by the equation"):
        check(program([eqn, IREqn(concat_p, (x, x), y)], (x,), y))
    with pytest.raises(ProgramError, match="a second time by the equation"):
        check(program([eqn], (x, y), y))
    with pytest.raises(ProgramError, match="a second time by an input"):
        check(program([], (x, x), x))


def test_types_are_those_of_the_abstract_rules():
    x, y, n = var(), var(), var(IntAVal())
    with pytest.raises(ProgramError, match="abstract rule gives StrAVal"):
        check(program([IREqn(concat_p, (x,), n)], (x,), n))
    with pytest.raises(ProgramError, match="structure"):
        check(program([IREqn(concat_p, (x,), (y,))], (x,), y))
    with pytest.raises(ProgramError, match="abstract rule gives BoolAVal"):
        check(program([IREqn(match_p, (x, x), y)], (x,), y))
    with pytest.raises(ProgramError, match="abstract rule refuses") as caught:
        check(program([IREqn(af.extend.format_p, ((x,), ()), y, {"template": "{}{}", "keys": ()})], (x,), y))
    assert isinstance(caught.value.__cause__, OperandTypeError)


def test_a_batched_variable_is_no_single_one():
    x, deep, y = var(), var(depth=1), var()
    stop = af.extend.stop_gradient_p
    check(program([IREqn(stop, deep, var(depth=1))], (deep,), ()))
    with pytest.raises(ProgramError, match="DeepAVal"):
        check(program([IREqn(stop, deep, y)], (deep,), y))
    with pytest.raises(ProgramError, match="abstract rule gives StrAVal"):
        check(program([IREqn(stop, x, deep)], (x,), deep))


def test_known_values_and_zeros_may_stand_where_a_type_is_told():
    x, n, f = var(), var(IntAVal()), var(FloatAVal())
    check(program([IREqn(concat_p, (x,), "literal")], (x,), ()))
    check(program([IREqn(concat_p, (x,), Zero(StrAVal()))], (x,), ()))
    to_int = rules(Prim("check_int"), abstract=lambda x: IntAVal(), register=False)
    check(program([IREqn(to_int, x, f)], (x,), f))
    to_float = rules(Prim("check_float"), abstract=lambda x: FloatAVal(), register=False)
    with pytest.raises(ProgramError):
        check(program([IREqn(to_float, x, n)], (x,), n))


def test_a_primitive_without_an_abstract_rule_is_reported():
    x, y = var(), var()
    with pytest.raises(ProgramError, match=r"'nameless' has no abstract rule.*nameless\(a:str\)"):
        check(program([IREqn(Prim("nameless"), (x,), y)], (x,), y))


def test_programs_inside_are_checked_at_any_depth():
    x, y = var(), var()
    ir = program([], (x,), y)
    for _ in range(3000):
        a, b = var(), var()
        ir = program([IREqn(Prim("outer"), (a,), b, {"deep": {"ir": [ir]}})], (a,), b)
    with pytest.raises(ProgramError, match="used by the output"):
        check(ir)


def test_values_of_a_trace_have_no_place_in_programs():
    leaked = []
    af.trace(leaked.append)("a")
    with pytest.raises(ProgramError, match="value of a trace"):
        check(program([IREqn(concat_p, (leaked[0],), var())], (), ()))


def test_inputs_are_a_tuple_and_kept_positions_exist():
    x = var()
    with pytest.raises(ProgramError, match="list"):
        check(program([], [x], x))
    with pytest.raises(ProgramError, match="equation 4"):
        check(program([], (x,), x, ordered=frozenset({4})))
    with pytest.raises(OperandTypeError):
        check("no program")


def test_checked_checks_where_the_environment_says_so(monkeypatch):
    x, y = var(), var()
    broken = program([], (x,), y)
    monkeypatch.setenv("ALKAHEST_CHECK", "0")
    assert checked(broken) is broken
    monkeypatch.delenv("ALKAHEST_CHECK")
    assert checked(broken) is broken
    monkeypatch.setenv("ALKAHEST_CHECK", "1")
    with pytest.raises(ProgramError):
        checked(broken)


def test_a_rule_that_changes_is_heeded():
    prim = rules(Prim("changing"), abstract=lambda x: StrAVal(), register=False)
    x, y = var(), var()
    ir = program([IREqn(prim, x, y)], (x,), y)
    check(ir)
    af.extend.abstract_rules.set(prim, lambda x: IntAVal(), replace=True)
    with pytest.raises(ProgramError):
        check(ir)
