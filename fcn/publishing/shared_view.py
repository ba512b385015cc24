"""The shared view that makes MLflow's list of runs read as a table.

MLflow keeps such a view as an experiment's tag, in a layout that it documents nowhere; this is that of 3.17, and a test
looks at the page in a browser. A column that is not named here is hidden, except for two that can't be: they are pushed
to the end or made as narrow as possible.
"""

import json
from collections.abc import Mapping, Sequence

from fcn.publishing.experiment import ROW, Entry, Experiment, columns

KEY = "table"
TAG = f"mlflow.sharedViewState.{KEY}"

_NAME = "attributes.`Run Name`"
_CREATED = "runDateAndNestInfo"
_DURATION = "duration"
_PX_PER_LETTER = 6.5
_PX_AROUND = 30
_MOST_LETTERS = 30
_PX_AROUND_NAME = 80  # what unfolds a run, and the run's colour
_LEAST_PX = 40  # a narrower width is ignored by MLflow's table


def state(experiment: Experiment) -> str:
    """The value of the tag."""
    shown = list(experiment.columns)
    longest = max((len(entry.name) for entry in experiment.entries), default=0)
    widths = {column: _width(column, experiment.entries) for column in shown}
    widths |= {_NAME: _PX_AROUND_NAME + round(_PX_PER_LETTER * longest), _DURATION: 80, _CREATED: _LEAST_PX}
    value: Mapping[str, object] = {
        "selectedColumns": shown,
        "columnOrder": [_NAME, *shown, _DURATION, _CREATED],
        "columnWidths": widths,
        "orderByKey": columns("tags", ROW)[0],
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "searchFilter": "",
    }
    return json.dumps(value, sort_keys=True)


def link(base: str, experiment_id: str) -> str:
    """Where a browser finds the view; MLflow's plain link to an experiment opens another page."""
    return f"{base}/#/experiments/{experiment_id}/runs?viewStateShareKey={KEY}&workflowType=machine_learning"


def _width(column: str, entries: Sequence[Entry]) -> int:
    """Room for the head and, up to a limit, for the longest text below it; numbers are shorter than their heads."""
    head = column.split("`")[1]
    texts = [{**entry.params, **entry.tags}.get(head, "") for entry in entries] if "metrics" not in column else []
    letters = max(len(head), *(min(len(text), _MOST_LETTERS) for text in texts), 0)
    return _PX_AROUND + round(_PX_PER_LETTER * letters)
