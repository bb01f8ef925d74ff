"""`import alkahest` is light: a fresh interpreter tells which modules it loads."""

import subprocess
import sys

HEAVY = "numpy egglog optree llvmlite jax torch triton litellm scipy pluggy asyncio".split()


def loaded_after(statement):
    code = f"import sys; {statement}; print(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_import_alkahest_loads_nothing_heavy():
    assert loaded_after("import alkahest") == []


def test_describing_expressions_needs_no_numpy():
    statement = (
        "import alkahest as a; p = a.ExprPool(); x = p.symbol('x'); e = a.sin(x)**2 + 1; str(e); a.diff(e, x); "
        "a.parse('x + 1', p); a.sin(1.0)"
    )
    assert not {"numpy", "egglog", "optree", "llvmlite", "jax", "torch"} & set(loaded_after(statement))


def test_listing_plugins_imports_no_compiler():
    statement = "from alkahest.plugins.manager import backends; backends()"
    assert not {"llvmlite", "jax", "torch", "triton", "numpy"} & set(loaded_after(statement))
