"""Prefect's flows over the graph of dvc.yaml; of fcn/ they import what needs neither torch nor a dataset."""

import os
import sys
from importlib.util import find_spec

from fcn import loopback
from fcn.errors import without_module

if find_spec("prefect") is None:
    sys.exit(without_module("prefect"))
import httpx

from flows import address

# Read when prefect is imported. Nothing calls home.
for _name, _value in {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}.items():
    os.environ.setdefault(_name, _value)
loopback.keep_direct()
address.forget_killed()
try:  # as Prefect's client will; it looks at every proxy, also for addresses that are asked directly
    httpx.Client().close()
except (ImportError, ValueError, httpx.InvalidURL) as error:
    sys.exit(
        f"error: a proxy that the environment names can't be used by Prefect ({error}); begin the command with "
        "`env -u ALL_PROXY -u all_proxy`, or whichever of http_proxy, https_proxy and their likes it is"
    )
