"""The public names are frozen: a change of the golden files is a change that users notice."""

import alkahest
import alkahest.extend


def test_names_at_top_level(golden):
    assert not {"abs", "format", "max", "min", "pow", "round"} & set(alkahest.__all__)
    names = sorted({*alkahest.__all__, "abs", "format", "max", "min", "pow", "round"})
    golden("names.txt", "".join(f"{n}\n" for n in names))
    for name in names:
        assert getattr(alkahest, name).__doc__, name


def test_names_for_plugins(golden):
    names = sorted(n for n in vars(alkahest.extend) if not n.startswith("_") and n not in ("annotations", "standard"))
    golden("names_extend.txt", "".join(f"{n}\n" for n in names))


def test_a_name_that_does_not_exist():
    for wrong in ("nothing", "numpy"):
        assert not hasattr(alkahest, wrong)
    assert "sin" in dir(alkahest)
