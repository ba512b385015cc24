"""Servers on this very machine are asked directly, whatever proxy the environment names."""

import os

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_LOCAL = ("127.0.0.1", "localhost", "::1")


def keep_direct() -> None:
    """Add this machine's own addresses to NO_PROXY where a proxy is set, for this process and its children.

    Both spellings get what counted before: where the lower one is set, readers take no look at the upper one.
    """
    if not any(os.environ.get(spelt) for name in _PROXIES for spelt in (name, name.upper())):
        return
    before = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")).split(",")
    kept = [entry for entry in (item.strip() for item in before) if entry]
    every = kept if kept == ["*"] else [*kept, *_LOCAL]  # which stands for all hosts only where it stands alone
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(dict.fromkeys(every))
