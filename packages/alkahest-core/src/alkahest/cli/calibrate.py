"""`alkahest calibrate`: measures what tiers cost on this machine, beside what they declare."""

from __future__ import annotations

from dataclasses import asdict, fields

import click

from alkahest.cli.output import duration, print_json, print_table
from alkahest.compile.calibration import measure, probe_tape, write_calibration
from alkahest.compile.driver import backend_of, refusal
from alkahest.extend import BackendInfo, BackendUnavailableError, Cost
from alkahest.plugins.manager import backends

FIGURES = {
    "setup": "to compile",
    "per_node": "and per operation",
    "launch": "a call",
    "per_op": "per operation and point",
}


@click.command()
@click.argument("tiers", metavar="[TIER]...", nargs=-1)
@click.option("--write", is_flag=True, help="Keep the figures, so that dispatch uses them from now on.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def calibrate(tiers: tuple[str, ...], write: bool, as_json: bool) -> None:
    """Measure what tiers cost on this machine.

    Without names all tiers are measured that run on the CPU. Dispatch chooses by these figures: so long to compile a
    function, and so long to run it. They are kept in the folder ALKAHEST_CONFIG_DIR, or in that of the user's settings.
    Run it while the machine has nothing else to do. The exit code is 1 where a tier that was named cannot run.
    """
    infos = _chosen(tiers)
    measured: dict[str, Cost] = {}
    for info in infos:
        click.echo(f"measuring {info.name}", err=True)
        try:
            measured[info.name] = _measure(info)
        except Exception as error:  # one that is not here, or broken, does not keep the others from being measured
            click.echo(f"{info.name} is left out: {error}", err=True)
    if as_json:
        print_json({name: asdict(cost) for name, cost in measured.items()})
    else:
        _print(measured, {info.name: info.cost for info in infos})
    if write and measured:
        click.echo(f"written to {write_calibration(measured)}", err=True)
    if tiers and len(measured) < len(infos):
        raise SystemExit(1)


def _measure(info: BackendInfo) -> Cost:
    why = refusal(info, probe_tape(8))
    backend = backend_of(info)
    if why or isinstance(backend, str):
        raise BackendUnavailableError(why)
    return measure(backend, "f64" if "f64" in info.dtypes else min(info.dtypes))


def _chosen(tiers: tuple[str, ...]) -> list[BackendInfo]:
    infos = backends()
    unknown = [name for name in tiers if name not in infos]
    if unknown:
        raise BackendUnavailableError(
            f"no tier is called {unknown[0]!r} (there are {', '.join(sorted(infos))}).",
            remedy="See `alkahest plugins` for what is installed.",
        )
    return [info for name, info in infos.items() if (name in tiers if tiers else "cpu" in info.targets)]


def _print(measured: dict[str, Cost], declared: dict[str, Cost]) -> None:
    rows: list[tuple[str, ...]] = []
    for name, cost in measured.items():
        for kind, costs in (("measured", cost), ("declared", declared[name])):
            figures = [duration(getattr(costs, f.name)) for f in fields(Cost)]
            rows.append((name if kind == "measured" else "", kind, *figures))
    print_table(("tier", "", *[FIGURES[f.name] for f in fields(Cost)]), rows)
