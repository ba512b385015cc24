"""The report as a person sees it, on a laptop, a phone and paper: headless Chromium."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.browser import Page, browser, chromium

pytestmark = pytest.mark.slow
WIDTHS = (1280, 390)
VISIBLE = (
    "[...document.querySelectorAll('.switch .stack')].map(stack => [...stack.querySelectorAll('img')]"
    ".filter(img => getComputedStyle(img).visibility === 'visible').map(img => img.alt.split(' ')[0]).pop())"
)
# What is wider than the window, and isn't within a box that scrolls.
TOO_WIDE = (
    "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1"
    " && !e.closest('.scroll')).map(e => e.outerHTML.slice(0, 80))"
)
# The right ends of the mean IUs of all tables, of the 8s net's IU by class, and of the segmentations.
MATTERS = (
    "[...document.querySelectorAll('thead :is(th, td)')].filter(e => e.textContent === 'mean IU' ||"
    " e.textContent.includes('fcn8s') && e.closest('section').id === 'classes')"
    ".concat([...document.querySelectorAll('.fits img')]).map(e => e.getBoundingClientRect().right)"
)
# Contrast of text with the page, as WCAG counts it, for the elements that have text colours of their own.
CONTRAST = """
(() => {
  const part = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (c) => {
    const [r, g, b] = c.match(/[0-9.]+/g).map(Number);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return ["body", "nav a", ".note", "figcaption", "caption", "td", ".facts dt", "summary"].map((s) => {
    const ink = light(getComputedStyle(document.querySelector(s)).color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  });
})()
"""


@pytest.fixture(name="page", scope="module")
def _page() -> Iterator[Page]:
    program = chromium()
    if program is None:
        pytest.skip("needs Chromium, as chromium, chromium-browser, google-chrome or chrome on PATH")
    with browser(program) as page:
        yield page


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out(data: Path, page: Page, width: int) -> None:
    """On a laptop and on a phone, with every fold open, nothing but the insides of scrolling boxes is too wide."""
    page.open(data / "report/report.html", width=width)
    page.value("document.querySelectorAll('details').forEach(item => item.open = true) ?? null")
    assert page.value("innerWidth") == width
    assert page.value("document.documentElement.scrollWidth") == width
    assert page.value(TOO_WIDE) == []


def test_a_phone_shows_what_matters(data: Path, page: Page) -> None:
    """On a phone each table's mean IU, the 8s net's column and all columns of segmentations are in sight."""
    page.open(data / "report/report.html", width=390)
    page.value("document.querySelectorAll('details').forEach(item => item.open = true) ?? null")
    ends = page.value(MATTERS)
    assert len(ends) > 10
    assert max(ends) <= 390


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_the_switch_switches(data: Path, page: Page, scripts: bool) -> None:
    """A button shows that net's answer in all pictures at once, with and without scripts; the finest net is first."""
    page.open(data / "report/report.html", width=1280, scripts=scripts)
    assert page.value(VISIBLE) == ["FCN-8s"] * 5
    for number, shown in ((5, "truth"), (2, "FCN-32s"), (3, "FCN-16s"), (1, "photo")):
        page.click(f".switch label[for$='-{number}']")
        assert page.value(VISIBLE) == [shown] * 5
    assert page.value("document.querySelector('.slider').hidden") == (not scripts)


def test_the_slider_lets_the_photo_through(data: Path, page: Page) -> None:
    """At the slider's right end the answers are clear, and the photo is seen."""
    page.open(data / "report/report.html", width=1280)
    opacity = "getComputedStyle(document.querySelector('.switch .stack img:nth-child(2)')).opacity"
    assert page.value(opacity) == "1"
    script = "(() => { const s = document.querySelector('.slider input'); s.value = 100; "
    page.value(script + "s.dispatchEvent(new Event('input')); return null; })()")
    assert page.value(opacity) == "0"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(data: Path, page: Page, scheme: str) -> None:
    """By day and by night text has a contrast of at least 4.5 to the page."""
    page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.open(data / "report/report.html", width=1280)
    assert min(page.value(CONTRAST)) >= 4.5
    page.ask("Emulation.setEmulatedMedia", features=[])


def test_it_prints(data: Path, page: Page) -> None:
    """On paper no table is wider than the sheet, and the switch, which paper can't have, is left out."""
    page.open(data / "report/report.html", width=703)  # A4 less its margins, at 96 px an inch
    page.ask("Emulation.setEmulatedMedia", media="print")
    wide = page.value(
        "[...document.querySelectorAll('table')].filter(t => t.getBoundingClientRect().right > innerWidth + 1)"
        ".map(t => t.caption.textContent)"
    )
    assert wide == []
    assert page.value("getComputedStyle(document.querySelector('.switch')).display") == "none"
    page.ask("Emulation.setEmulatedMedia", media="")
    paper = base64.b64decode(page.ask("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert paper.startswith(b"%PDF")
