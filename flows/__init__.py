"""Prefect's flows over the graph of dvc.yaml; of fcn/ they import what needs neither torch nor a dataset."""

import os

from fcn import loopback

# Read when prefect is imported. Nothing calls home; a busy machine may take its time to start the server of one run.
_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}
for _name, _value in _DEFAULTS.items():
    os.environ.setdefault(_name, _value)
loopback.keep_direct()
