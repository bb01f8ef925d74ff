"""The list of identities as Markdown, for the documentation."""

from __future__ import annotations

from collections.abc import Iterable

from alkahest.symbolic.rules.identity import Identity


def rule_list(identities: Iterable[Identity]) -> str:
    """Return a table of identities for each group, in Markdown: name, left and right side, conditions.

    >>> from alkahest import ExprPool, exp, log
    >>> a = ExprPool().symbol("a")
    >>> print(rule_list([Identity("exp of log", exp(log(a)), a, widens=True, group="exponential")]))
    ### exponential
    <BLANKLINE>
    | name | from | to | where |
    |---|---|---|---|
    | exp of log | `exp(log(a))` | `a` | (widens) |
    <BLANKLINE>
    """
    groups: dict[str, list[Identity]] = {}
    for identity in identities:
        groups.setdefault(identity.group, []).append(identity)
    lines: list[str] = []
    for group, members in groups.items():
        lines += [f"### {group}", "", "| name | from | to | where |", "|---|---|---|---|"]
        lines += [_row(identity) for identity in members]
        lines.append("")
    return "\n".join(lines)


def _row(identity: Identity) -> str:
    to = f"`{identity.right}`" + (", and back" if identity.both_ways else "")
    conditions = [f"`{c}`" for c in identity.where]
    conditions += [f"`{s}` {s.domain}" for s in identity.symbols if s.domain != "real"]
    if identity.widens:
        conditions.append("(widens)")
    cells = [identity.name, f"`{identity.left}`", to, ", ".join(conditions)]
    return "| " + " | ".join([c.replace("|", "\\|") for c in cells]) + " |"
