"""Servers on this machine are reached whatever proxy the environment names."""

import http.server
import os
import subprocess
import sys
import threading

import httpx
import pytest
import requests

from fcn.loopback import keep_direct
from tests.conftest import ROOT


@pytest.mark.parametrize("proxy", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_server_on_this_machine_is_asked_directly(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """With a proxy that is dead, and none for this machine asked for: both clients get the answer."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    keep_direct()
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        for host in ("127.0.0.1", "localhost"):
            address = f"http://{host}:{server.server_address[1]}"
            assert httpx.get(address).status_code == httpx.codes.NOT_IMPLEMENTED
            assert requests.get(address, timeout=60).status_code == requests.codes.not_implemented
        server.shutdown()


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_what_went_past_the_proxy_still_does(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What was asked for in one spelling holds in both, once, and without a proxy nothing is changed."""
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    monkeypatch.setenv(name, "example.org, localhost")
    before = dict(os.environ)
    keep_direct()
    assert dict(os.environ) == before
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    keep_direct()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "example.org,localhost,127.0.0.1,::1"
    monkeypatch.setenv(name, "*")
    monkeypatch.setenv("no_proxy", "*")
    keep_direct()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "*"  # all hosts, as long as it stands alone


@pytest.mark.parametrize("proxy", ["socks5://me:marked@127.0.0.1:9", "socks://127.0.0.1:9/", "http://[::1"])
def test_a_proxy_that_prefect_can_t_use_is_a_sentence(proxy: str) -> None:
    """What Prefect's client ends in a traceback of, for any address, is said before a flow begins, and the way out."""
    command, variables = [sys.executable, "-c", "import flows"], {**os.environ, "ALL_PROXY": proxy}
    ended = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: a proxy that the environment names can't be used by Prefect (")
    assert "`env -u ALL_PROXY -u all_proxy`" in ended.stderr
    assert "marked" not in ended.stderr
