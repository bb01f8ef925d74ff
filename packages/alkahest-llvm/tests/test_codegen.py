"""Generated text: artifacts, the scalar function for GPUs, targets, engines."""

import ctypes
import gc

import llvmlite.binding as llvm
import numpy as np
import pytest

from alkahest.extend import CompileOptions, Instr, Tape, prim_names
from alkahest.testing.corpus import corpus, op_tape
from alkahest_llvm import targets
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.emitting.codegen import emit_scalar_function
from alkahest_llvm.emitting.lowering import missing_ops
from alkahest_llvm.loading import engine

DEVICE_OPS = [op for op in prim_names() if not missing_ops(op_tape(op))]
POW_SIN = Tape(("x", "y"), (2.0,), (Instr("pow", (0, 2)), Instr("sin", (1,)), Instr("add", (3, 4))), (5,))


def test_artifacts():
    artifacts = LLVMBackend().compile(POW_SIN, CompileOptions()).artifacts
    assert set(artifacts) == {"llvm-ir", "asm"}
    assert "define void @alkahest_eval_bulk" in artifacts["llvm-ir"]
    assert "alkahest_eval_bulk:" in artifacts["asm"]
    llvm.parse_assembly(artifacts["llvm-ir"]).verify()


def test_memory_is_asked_for_only_where_it_is_read():
    tape = Tape(("x", "y", "z"), (), (Instr("mul", (0, 0)),), (3, 2))
    text = LLVMBackend().compile(tape, CompileOptions()).artifacts["llvm-ir"]
    assert "%ahead0" in text
    assert "%ahead1" not in text
    assert "%ahead2" in text


def ptx(text, returned, real, names):
    """Return PTX of a kernel that calls the emitted function, optimised as a GPU backend would."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple("nvptx64-nvidia-cuda").create_target_machine(
        cpu="sm_80", features="+ptx70", opt=3
    )
    arguments = ", ".join(f"{real} %x" for _ in names)
    module = llvm.parse_assembly(
        f'target triple = "nvptx64-nvidia-cuda"\n{text}\ndefine ptx_kernel void @main(ptr %p, ptr %o) {{\n'
        f"  %x = load {real}, ptr %p\n  %y = call {returned} @f({arguments})\n  store {returned} %y, ptr %o\n"
        "  ret void\n}\n"
    )
    module.verify()
    module.data_layout = str(machine.target_data)
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(module, passes)
    return machine.emit_assembly(module)


@pytest.mark.parametrize("op", DEVICE_OPS)
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_own_math_on_a_gpu_calls_nothing(op, dtype):
    tape = op_tape(op)
    real = {"f64": "double", "f32": "float"}[dtype]
    text = emit_scalar_function(tape, CompileOptions(dtype=dtype), name="f").text
    code = ptx(text, real, real, tape.inputs)
    assert "call" not in code


@pytest.mark.parametrize("case", [c for c in corpus() if not missing_ops(c.tape())], ids=lambda case: case.name)
def test_the_scalar_function_has_the_bits_of_the_kernel(case):
    tape = case.tape()
    emitted = emit_scalar_function(tape, CompileOptions(), name="f")
    k = len(tape.outputs)
    returned = "double" if k == 1 else f"[{k} x double]"
    loads = "".join(
        f"  %p{i} = getelementptr double, ptr %in, i64 {i}\n  %x{i} = load double, ptr %p{i}\n"
        for i in range(emitted.n_inputs)
    )
    arguments = ", ".join(f"double %x{i}" for i in range(emitted.n_inputs))
    text = (
        f"{emitted.text}\ndefine void @run(ptr %in, ptr %out) {{\n{loads}  %y = call {returned} @f({arguments})\n"
        f"  store {returned} %y, ptr %out\n  ret void\n}}\n"
    )
    code = engine.load(text, ["run"], {}, level=2)
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(code["run"])
    kernel = LLVMBackend().compile(tape, CompileOptions())
    for point in case.points(20):
        given, out = np.array(point), np.empty(k)
        run(given.ctypes.data, out.ctypes.data)
        want = kernel.scalar(point)
        np.testing.assert_array_equal(out, [want] if k == 1 else want)


def test_lanes_by_instruction_set():
    x86 = "x86_64-unknown-linux-gnu"
    assert targets.lanes_for(x86, {"sse2": True, "avx": True, "avx512f": True}) == 16
    assert targets.lanes_for(x86, {"sse2": True, "avx": True}) == 8
    assert targets.lanes_for(x86, {"sse2": True}) == 4
    assert targets.lanes_for("aarch64-apple-darwin", {"neon": True}) == 4
    assert targets.lanes_for("riscv64-unknown-linux-gnu", {}) == 1


def test_a_processor_that_llvm_does_not_know(monkeypatch):
    def unknown():
        raise RuntimeError("failed to get host cpu features")

    monkeypatch.setattr(llvm, "get_host_cpu_features", unknown)
    targets.this_machine.cache_clear()
    try:
        host = targets.host_target()
        assert host.features == ""
        assert host.lanes in (1, 4)
        machine = engine.target_machine(0)
        assert "alkahest" in machine.emit_assembly(llvm.parse_assembly("define void @alkahest() { ret void }"))
    finally:
        monkeypatch.undo()
        targets.this_machine.cache_clear()


def test_a_failed_compilation_reports_llvms_message():
    with pytest.raises(RuntimeError):
        engine.load("define void @f() { nonsense }", ["f"], {}, level=0)


def test_engines_are_replaced_and_freed(monkeypatch):
    monkeypatch.setattr(engine, "_LIBRARIES_PER_ENGINE", 3)
    monkeypatch.setattr(engine, "_engines", [])
    seen = []
    for k in range(8):
        code = engine.load(f"define i64 @f() {{ ret i64 {k} }}", ["f"], {}, level=0)
        seen.append((code, engine._engines[-1]))
        assert ctypes.CFUNCTYPE(ctypes.c_int64)(code["f"])() == k
    engines = [e for _, e in seen]
    assert len(set(engines)) == 3
    assert [e.loaded for e in dict.fromkeys(engines)] == [3, 3, 2]
    first = engines[0]
    del seen, code
    gc.collect()
    with engine.lock:
        engine._engine()  # unloads what nobody uses
    assert first.lljit.closed
    assert not engine._engines[-1].lljit.closed
