"""Pages of a release, a comparison and a match as people use them: keyboard, phone, dark, print; nothing is sent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.report import write_report
from tests.helpers.browser import OpenPage, open_page
from tests.helpers.real_texts import known_vectors
from tests.helpers.servers.fake_openai import FakeOpenAI
from tests.report.test_match_page import saved
from tests.report.test_odd_comparisons import CLAIM, FIGURE, TEXTS, write_comparison
from tests.report.test_odd_releases import CASES, write_page

WIDTHS = (390, 768, 1400)
CONTROLS = "a[href], button, select, input, summary"


def write_comparison_page(folder: Path) -> Path:
    """Write the page of a comparison of four arms with two figures and two claims."""
    figures = {"figures": {"vendi_score": FIGURE, "c2st_auc": FIGURE | {"low": -1.9, "high": 2.9}}}
    undecided = CLAIM | {"measure": "c2st_auc", "verdict": "undecided", "p_corrected": 0.5}
    arms: dict[str, dict[str, Any]] = dict.fromkeys(("none", "demographic", "situational", "real"), figures)
    write_comparison(folder, arms, [CLAIM, undecided])
    with known_vectors(folder / "cache", list(TEXTS.texts)):
        return write_report(folder)


@pytest.fixture(scope="module")
def pages(model: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    saved(folder / "match")
    return {
        "release": write_page(CASES["seven texts"], folder / "release", model.url),
        "comparison": write_comparison_page(folder / "comparison"),
        "match": write_report(folder / "match"),
    }


@pytest.fixture(scope="module")
def browser(pages: dict[str, Path]) -> Iterator[OpenPage]:
    with open_page(pages["release"]) as opened:
        yield opened


@pytest.fixture(params=["release", "comparison", "match"])
def opened(request: pytest.FixtureRequest, pages: dict[str, Path], browser: OpenPage) -> OpenPage:
    """One of the pages, just opened."""
    return visit(browser, pages[request.param])


def visit(browser: OpenPage, page: Path) -> OpenPage:
    browser.page.set_viewport_size({"width": 1150, "height": 900})
    browser.page.emulate_media(media="screen", color_scheme="light")
    browser.visit(page)
    browser.errors.clear()
    browser.requests.clear()
    return browser


def becomes_true(view: Any, condition: str) -> bool:
    """Return whether a condition becomes true within some frames; the page forbids what `wait_for_function` does."""
    result: bool = view.evaluate(
        f"""async () => {{
          for (let frame = 0; frame < 600; frame++) {{
            if ({condition}) return true;
            await new Promise(requestAnimationFrame);
          }}
          return false;
        }}"""
    )
    return result


def open_details(view: Any) -> None:
    view.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")


def test_no_control_sends_anything_or_opens_a_window(opened: OpenPage) -> None:
    view = opened.page
    windows: list[str] = []
    view.context.on("page", lambda window: windows.append(window.url))
    address = view.url
    assert view.locator(".modebar").count() == 0
    open_details(view)
    view.locator(".skip").press("Enter")  # it is outside of the window until it has the focus
    for control in view.locator(CONTROLS).all():
        if control.is_visible() and control.get_attribute("class") != "skip":
            control.click()
    for select in view.locator("select").all():
        for number in range(select.locator("option").count()):
            select.select_option(index=number)
    for field in view.locator("input[type=search]").all():
        field.fill("")
        field.press("Enter")
    for chart in view.locator(".chart").all():
        chart.hover()
        chart.click(button="right")
        chart.dblclick()
    assert view.url.split("#")[0] == address and windows == []
    assert opened.errors == [] and opened.requests == []


FRAME = "Object.assign(document.body.appendChild(document.createElement('iframe')), {src: 'http://127.0.0.1:9/'})"
FORM = "Object.assign(document.body.appendChild(document.createElement('form')), {action: 'http://127.0.0.1:9/'})"
ATTEMPTS = {
    "fetch('http://127.0.0.1:9/')": "connect-src",
    "navigator.sendBeacon('http://127.0.0.1:9/', 'x')": "connect-src",
    FRAME: "frame-src",
    f"{FORM}.submit()": "form-action",
}
"""Ways in which a script might send, and the directive of the page's policy that forbids each."""


def test_the_page_forbids_its_scripts_to_send(pages: dict[str, Path], browser: OpenPage) -> None:
    view = visit(browser, pages["match"]).page
    for attempt, directive in ATTEMPTS.items():
        refused = view.evaluate(
            f"""new Promise(resolve => {{
              const seen = event => resolve(event.effectiveDirective);
              document.addEventListener("securitypolicyviolation", seen, {{once: true}});
              try {{ void {attempt}; }} catch {{}}
            }})"""
        )
        assert refused == directive and browser.requests == []


def focused(view: Any) -> int:
    """Return the number of the focused control; -1: none has the focus."""
    number: int = view.evaluate(f"[...document.querySelectorAll('{CONTROLS}')].indexOf(document.activeElement)")
    return number


def test_every_control_is_reached_by_keyboard_and_the_search_within_five_stops(opened: OpenPage) -> None:
    view = opened.page
    visible = [number for number, control in enumerate(view.locator(CONTROLS).all()) if control.is_visible()]
    stops: list[int] = []
    for _ in range(3 * len(visible)):
        view.keyboard.press("Tab")
        stops.append(focused(view))
    assert set(visible) <= set(stops)
    view.locator(".skip").press("Enter")
    assert view.evaluate("document.activeElement.id") == "main" and view.locator("main h2").first.is_visible()
    if view.locator("#query").count():
        query = view.evaluate(f"[...document.querySelectorAll('{CONTROLS}')].findIndex(one => one.id === 'query')")
        assert query in stops[:5]


def test_charts_have_names_and_tables_of_their_data_and_no_width_overflows(opened: OpenPage) -> None:
    view = opened.page
    open_details(view)
    charts = view.locator(".chart[role=img]")
    assert charts.count() == view.locator(".chart").count() > 0
    for chart in charts.all():
        name, section = chart.get_attribute("id"), chart.locator("xpath=ancestor::section")
        assert ": " in (chart.get_attribute("aria-label") or "")
        tables = section.locator("details.data table")
        assert tables.count() == (name != "map")
        if name != "map":
            assert tables.locator("tbody tr").count() > 0 and "Data of: " in tables.locator("caption").inner_text()
    require_no_overflow(view)


def require_no_overflow(view: Any) -> None:
    """Require that the page fits a phone, a tablet and a desktop."""
    fits = "svg.clientWidth <= svg.closest('.chart').clientWidth"
    for width in WIDTHS:
        view.set_viewport_size({"width": width, "height": 844})
        assert becomes_true(view, f"[...document.querySelectorAll('.chart .main-svg')].every(svg => {fits})")
        assert view.evaluate("document.documentElement.scrollWidth") <= width


def fills(view: Any) -> set[str]:
    """Return the colours of the labels of all charts."""
    return set(view.evaluate("[...document.querySelectorAll('.ytick text')].map(text => getComputedStyle(text).fill)"))


def test_charts_follow_the_colours_of_the_page(opened: OpenPage) -> None:
    view = opened.page
    assert fills(view) == {view.evaluate("getComputedStyle(document.body).color")}
    view.emulate_media(color_scheme="dark")
    assert becomes_true(view, "getComputedStyle(document.querySelector('.ytick text')).fill === 'rgb(230, 233, 240)'")
    assert fills(view) == {view.evaluate("getComputedStyle(document.body).color")} == {"rgb(230, 233, 240)"}


def test_print_is_light_without_buttons_and_charts_fit_the_paper(opened: OpenPage) -> None:
    view = opened.page
    view.emulate_media(media="print", color_scheme="dark")
    view.evaluate("dispatchEvent(new Event('beforeprint'))")
    widths = view.evaluate("[...document.querySelectorAll('.chart .main-svg')].map(svg => svg.clientWidth)")
    assert max(widths) <= 680 and fills(view) == {"rgb(29, 36, 51)"}
    assert not any(button.is_visible() for button in view.locator("button, nav, form").all())
    breaks = view.evaluate("[...document.querySelectorAll('.plot')].map(plot => getComputedStyle(plot).breakInside)")
    assert set(breaks) == {"avoid"}
    view.evaluate("dispatchEvent(new Event('afterprint'))")
    assert fills(view) != {"rgb(29, 36, 51)"}


def test_a_choice_changes_the_traces_and_the_other_search_field(pages: dict[str, Path], browser: OpenPage) -> None:
    view = visit(browser, pages["release"]).page
    view.locator("select[data-chart=values]").select_option("gender")
    shown = view.evaluate("document.getElementById('values').data.filter(trace => trace.visible).map(trace => trace.x)")
    assert shown and all(set(labels) <= {"woman", "man", "nonbinary"} for labels in shown)
    view.locator("#query").fill("no text has these words")
    assert view.locator("#search").input_value() == "no text has these words"
    assert view.locator("#found-count").inner_text() == "0 texts" and view.locator("#rows tr").count() == 0


def test_a_chart_out_of_sight_is_drawn_when_it_is_needed(pages: dict[str, Path], browser: OpenPage) -> None:
    """In a browser that is never idle, a chart is drawn when it comes near the window, is chosen from or printed."""
    view = browser.page.context.browser.new_page()
    view.add_init_script("requestIdleCallback = () => 0")
    view.set_viewport_size({"width": 1150, "height": 600})
    view.goto(pages["release"].as_uri())
    drawn = "[...document.querySelectorAll('.chart')].filter(chart => chart.querySelector('.main-svg')).length"
    assert becomes_true(view, "window.Plotly !== undefined") and view.evaluate(drawn) == 0
    heights = view.evaluate("document.documentElement.scrollHeight")
    view.locator("#map-heading").scroll_into_view_if_needed()
    assert becomes_true(view, "document.querySelector('#map .main-svg') !== null")
    assert view.evaluate("document.documentElement.scrollHeight") == heights
    assert view.evaluate("document.querySelector('#pairs .main-svg') === null")
    view.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert view.evaluate(drawn) == view.locator(".chart").count()
    view.close()


def test_intervals_stay_in_the_range_of_their_figure(pages: dict[str, Path], browser: OpenPage) -> None:
    visit(browser, pages["comparison"])
    browser.page.locator("#arms-section details summary").click()
    rows = browser.page.locator("#arms-section details tbody tr").all_inner_texts()
    auc = [row.split("\t") for row in rows if row.startswith("c2st_auc")]
    assert len(auc) == 4 and {row[-1] for row in auc} == {"0 to 1"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(scheme: str, opened: OpenPage) -> None:
    axe = pytest.importorskip("axe_playwright_python")
    view = opened.page
    view.emulate_media(color_scheme=scheme)
    open_details(view)
    view.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    for width in (390, 1400):
        view.set_viewport_size({"width": width, "height": 844})
        found = view.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
