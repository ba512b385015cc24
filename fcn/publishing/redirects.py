"""A small page for every experiment that leads on to its view: its name is known before MLflow gives out ids."""

import re
from html import escape


def file_name(experiment: str) -> str:
    """`sample / CVPR Table 2` -> `cvpr-table-2.html`; the profile is the folder's business."""
    return re.sub(r"[^a-z0-9]+", "-", experiment.rpartition(" / ")[2].lower()).strip("-") + ".html"


def page(title: str, *, address: str) -> str:
    """HTML that leads a browser to `address`, and says so where it doesn't follow or nothing answers there."""
    target, words = escape(address), escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="refresh" content="0; url={target}">\n<title>{words}</title>\n</head>\n'
        f'<body>\n<p><a href="{target}">{words}</a>, in MLflow; <code>make ui</code> starts it.</p>\n</body>\n</html>\n'
    )
