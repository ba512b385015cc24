"""`python -m fcn doctor`: one look over versions, machine, locks, graph, servers and ledgers."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

from fcn.commands.checks import (
    graph,
    ledger,
    leftovers,
    locks,
    machine,
    mirrors,
    mlflow_runs,
    prefect_runs,
    versions,
)
from fcn.commands.checks.finding import Finding
from fcn.config import Config
from fcn.errors import StageFailure

_CHECKS: Mapping[str, Callable[[Config], list[Finding]]] = MappingProxyType(
    {
        "versions": versions.check,
        "machine": machine.check,
        "mirrors": mirrors.check,
        "locks": locks.check,
        "graph": graph.check,
        "leftovers": leftovers.check,
        "prefect": prefect_runs.check,
        "mlflow": mlflow_runs.check,
        "ledger": ledger.check,
    }
)
_MARKS = {"ok": "ok     ", "warning": "WARNING", "broken": "BROKEN ", "skipped": "-      "}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `doctor` takes."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")


def run(config: Config, options: argparse.Namespace) -> None:
    """Print what every check found; changes nothing.

    Raises StageFailure where something is broken. Environment: that of what is looked at, such as PREFECT_API_URL,
    MLFLOW_TRACKING_URI and FCN_DEVICE.
    """
    findings: list[Finding] = []
    for name, check in _CHECKS.items():
        new = _looked(name, check, config, traceback=options.traceback)
        findings += new
        if not options.json:
            for finding in new:
                _say(finding)
    broken = [finding.name for finding in findings if finding.state == "broken"]
    if options.json:
        checks = [{"name": item.name, "state": item.state, "said": item.said, "do": item.do} for item in findings]
        print(json.dumps({"healthy": not broken, "checks": checks}, indent=2))
    if broken:
        raise StageFailure(f"{len(broken)} of {len(findings)} checks found something broken: {', '.join(broken)}")
    if not options.json:
        warnings = sum(finding.state == "warning" for finding in findings)
        print(f"\nHealthy: {len(findings)} checks, nothing broken, {warnings} warnings.")


def _looked(name: str, check: Callable[[Config], list[Finding]], config: Config, *, traceback: bool) -> list[Finding]:
    try:
        return check(config)
    except Exception as error:  # broken in a way that nobody foresaw: what the other checks find is worth having
        if traceback:
            raise
        said = f"could not be looked at: {type(error).__name__}: {error}"
        return [
            Finding(name=name, state="broken", said=said, do="mend what it names; --traceback shows where it arose")
        ]


def _say(finding: Finding) -> None:
    print(f"{_MARKS[finding.state]} {finding.name}: {finding.said}")
    if finding.do:
        print(f"        -> {finding.do}")
    sys.stdout.flush()
