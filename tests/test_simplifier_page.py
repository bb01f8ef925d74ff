"""What docs/simplifier.md says is generated is what the package says now."""

from pathlib import Path

from alkahest.plugins.manager import plugins
from alkahest.symbolic.rules.listing import rule_list
from alkahest.symbolic.rules.registry import all_identities

PAGE = Path(__file__).parent.parent / "docs" / "simplifier.md"


def section(name):
    text = PAGE.read_text(encoding="utf-8")
    return text.split(f"<!-- {name}: begin -->\n")[1].split(f"<!-- {name}: end -->")[0]


def test_the_list_of_identities_is_that_of_the_package():
    """To write it anew: alkahest identities."""
    own = [i for i in all_identities() if i not in plugins().rewrites()]
    sentence, _, listed = section("identities").partition("\n\n")
    assert sentence.startswith("By group")
    assert listed.strip() == rule_list(own).strip()


def test_tables_are_filled():
    for name in ("simplify-forms", "simplify-scale", "simplify-derivatives", "stability", "soundness"):
        assert section(name).strip(), name
