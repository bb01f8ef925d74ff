"""Adds up the test reports of all tox environments: `python .ci/summary.py TOX_RESULT.json JUNIT_FOLDER`.

An environment that failed without a failing test (it was not installed, or the linter complained) counts as
one failure, so that the last line never says less than the exit status.
"""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

OUTCOMES = ("passed", "failed", "skipped")


def read_report(path: Path) -> dict[str, int]:
    """Return how many tests of a report passed, failed and were skipped (so it calls expected failures)."""
    counts = dict.fromkeys(OUTCOMES, 0)
    if path.exists():
        for case in ElementTree.parse(path).iter("testcase"):
            kinds = {child.tag for child in case}
            failed = kinds & {"failure", "error"}
            counts["failed" if failed else "skipped" if "skipped" in kinds else "passed"] += 1
    return counts


def main(result: Path, reports: Path) -> None:
    """Print one line per environment, then the sums."""
    environments = json.loads(result.read_text())["testenvs"] if result.exists() else {}
    totals = dict.fromkeys(OUTCOMES, 0)
    environments = {name: record for name, record in environments.items() if record}  # empty: defined, not run
    for name, record in environments.items():
        succeeded = record.get("result", {}).get("success", False)
        counts = read_report(reports / f"{name}.xml")
        if not succeeded and not counts["failed"]:
            counts["failed"] = 1
        print(f"{name}: {'ok' if succeeded else 'FAILED'}, {', '.join(f'{counts[o]} {o}' for o in OUTCOMES)}")
        for outcome in OUTCOMES:
            totals[outcome] += counts[outcome]
    if not environments:
        print("tox itself did not run.")
        totals["failed"] = 1
    print(f"{totals['skipped']} skipped, each with its reason above")
    print(f"{totals['passed']} passed, {totals['failed']} failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
