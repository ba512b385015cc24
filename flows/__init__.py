"""Prefect's flows over the graph of dvc.yaml; of fcn/ they import what needs neither torch nor a dataset."""

import os

from fcn import loopback

# Read when prefect is imported. Nothing calls home.
for _name, _value in {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}.items():
    os.environ.setdefault(_name, _value)
loopback.keep_direct()
