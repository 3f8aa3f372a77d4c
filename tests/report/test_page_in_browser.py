"""The page in a real Chromium: desktop and phone, light and dark, English and Chinese."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgewright.report import RunReport
from edgewright.report.html import write_report

pytestmark = pytest.mark.browser

ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("there is no Chromium on the path: install the package chromium")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield found
        found.close()


class Visit:
    """An open page with all it said and asked for."""

    def __init__(self, browser: Any, path: Path, width: int, scheme: str = "light") -> None:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = context.new_page()
        self.said: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (390, "light")])
def test_page_is_quiet_fits_and_fetches_nothing(
    run: RunReport, browser: Any, tmp_path: Path, lang: str, width: int, scheme: str
) -> None:
    visit = Visit(browser, write_report(run, tmp_path / "report.html", lang), width, scheme)
    visit.page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    assert visit.said == []
    assert [url for url in visit.requests if not url.startswith(("file:", "data:"))] == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    text = visit.page.inner_text("body")
    for figure in ("30.0 ms", "3.33 ×", "33.10 %", "7.00 MiB", "118 GFLOP/s", "6.00 ms"):
        assert figure in text, figure


def test_text_on_charts_is_not_smaller_than_ten_pixels(run: RunReport, browser: Any, tmp_path: Path) -> None:
    path = write_report(run, tmp_path / "report.html")
    for width in (1280, 390):
        sizes = Visit(browser, path, width).page.evaluate(
            """[...document.querySelectorAll('.chart text')].filter((t) => t.getClientRects().length).map((text) => {
                 const { a, b } = text.getScreenCTM();
                 return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(a, b);
               })"""
        )
        assert sizes and min(sizes) >= 10


def test_hostile_names_run_nothing(hostile: RunReport, browser: Any, tmp_path: Path) -> None:
    for lang in ("en", "zh"):
        visit = Visit(browser, write_report(hostile, tmp_path / f"{lang}.html", lang), 390)
        assert visit.page.title().startswith("<script>"), "the name is shown as text"
        assert visit.said == []
        assert visit.page.evaluate("document.images.length") == 0
        assert visit.page.evaluate("document.scripts.length") == 1
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_headings_sort_a_table(run: RunReport, browser: Any, tmp_path: Path) -> None:
    page = Visit(browser, write_report(run, tmp_path / "report.html"), 1280).page
    table = page.locator("details.profile[open] table.sortable").first
    times = "rows => rows.map(row => parseFloat(row.cells[1].dataset.sort))"
    head = table.locator("thead th").nth(1)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert table.locator("tbody tr").evaluate_all(times) == [6000, 2500, 1500]
    head.locator("button").click()
    assert table.locator("tbody tr").evaluate_all(times) == [1500, 2500, 6000]


def test_timeline_zooms_and_comes_back(run: RunReport, browser: Any, tmp_path: Path) -> None:
    page = Visit(browser, write_report(run, tmp_path / "report.html"), 1280).page
    svg = page.locator("svg.timeline").first
    whole = svg.get_attribute("viewBox")
    page.locator("figure.time button").nth(0).click()
    start, _, length, _ = map(float, (svg.get_attribute("viewBox") or "").split())
    assert length == pytest.approx(10300 / 2) and start == pytest.approx(10300 / 4)
    page.locator("figure.time button").nth(2).click()
    assert [float(n) for n in (svg.get_attribute("viewBox") or "").split()] == [float(n) for n in (whole or "").split()]


def test_downloads_are_in_the_page(run: RunReport, browser: Any, tmp_path: Path) -> None:
    page = Visit(browser, write_report(run, tmp_path / "report.html"), 1280).page
    with page.expect_download() as waiting:
        page.locator(".save a").first.click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert re.match(r"name,type,dtype,inputs", text) and "/model.0/Conv" in text
