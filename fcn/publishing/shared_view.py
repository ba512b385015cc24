"""The view that makes MLflow's list of runs read as a table.

MLflow keeps what is shared as an experiment's tag, and what one looks at in the browser, in layouts that it documents
nowhere; these are those of 3.17, and a test looks at the pages in a browser. A column that is not named here is hidden,
except for two that can't be: they are pushed to the end or made as narrow as possible.
"""

import json
from collections.abc import Mapping, Sequence

from fcn.publishing.experiment import ROW, Entry, Experiment, columns

KEY = "table"
TAG = f"mlflow.sharedViewState.{KEY}"

_TITLE = "As printed"  # in the menu "Views"
_NAME = "attributes.`Run Name`"
_CREATED = "runDateAndNestInfo"
_DURATION = "duration"
# What MLflow's page opens with where nobody chose: its pages for trainings, and neither assistant nor advertisement.
_QUIET = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    "_mlflow_model_registry_promo_modal_dismissed_v1": "true",
}
_FRONT = """
(() => {
  const kept = %s, told = JSON.stringify(kept);
  if (localStorage.getItem("fcn.told") !== told) {
    Object.entries({...kept, "fcn.told": told}).forEach(([key, value]) => localStorage.setItem(key, value));
  }
  location.hash ||= "#/experiments";
})();
"""
_PX_PER_LETTER = 6.5
_PX_AROUND = 30
_MOST_LETTERS = 30
_PX_AROUND_NAME = 80  # what unfolds a run, and the run's colour
_LEAST_PX = 40  # a narrower width is ignored by MLflow's table


def state(experiment: Experiment) -> str:
    """What the list of runs shows, and how."""
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


def saved(experiment: Experiment) -> str:
    """The value of the tag."""
    return json.dumps({"name": _TITLE, "createdAt": 0, "state": state(experiment)})


def front(tags: Mapping[str, Mapping[str, str]]) -> str:
    """JavaScript for MLflow's page: it opens on the experiments, and each of these is a table without any choosing.

    `tags` are by the experiment's id. A browser is told once, and again after another view was published; what
    somebody chooses in between stays.
    """
    kept = dict(_QUIET)
    for key, found in tags.items():
        if (shown := _state_of(found.get(TAG, ""))) is not None:
            kept[f'MLflowLocalStorage-1.1-ExperimentPage-["{key}"]-ReactComponentState'] = shown
    return _FRONT % json.dumps(kept, sort_keys=True).replace("<", "\\u003c")


def link(base: str, experiment_id: str) -> str:
    """Where a browser finds the view; MLflow's plain link to an experiment opens another page."""
    return f"{base}/#/experiments/{experiment_id}/runs?viewStateShareKey={KEY}&workflowType=machine_learning"


def _state_of(tag: str) -> str | None:
    """What `saved` wrote; None of what another version did, or of what MLflow packed when somebody saved the view."""
    try:
        state: str = json.loads(tag)["state"]
        json.loads(state)
    except (ValueError, KeyError, TypeError):
        return None
    return state


def _width(column: str, entries: Sequence[Entry]) -> int:
    """Room for the head and, up to a limit, for the longest text below it; numbers are shorter than their heads."""
    head = column.split("`")[1]
    texts = [{**entry.params, **entry.tags}.get(head, "") for entry in entries] if "metrics" not in column else []
    letters = max(len(head), *(min(len(text), _MOST_LETTERS) for text in texts), 0)
    return _PX_AROUND + round(_PX_PER_LETTER * letters)
