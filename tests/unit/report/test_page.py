"""The page in a browser: no error, no network, no overflow, every control by keyboard, colours that can be read."""

from pathlib import Path

import pytest
from browser import CHROMIUM, opened
from finished import BENCHMARKS, TASKS, Finished, content

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")

# Of each text on the page its contrast to what lies behind it, where it is too small (WCAG 2.2, 1.4.3).
_CONTRAST = """(() => {
  const channel = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parse = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !element.checkVisibility() || element.closest("script")) continue;
    const style = getComputedStyle(element);
    const [one, other] = [light(parse(element.closest("svg") ? style.fill : style.color)), light(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700;
    if (ratio < (large ? 3 : 4.5)) found.push([element.textContent.trim().slice(0, 40), ratio]);
  }
  return found;
})()"""
# Boxes of the page that reach beyond the screen and that no box around them scrolls.
_BEYOND = """[...document.querySelectorAll("main *")]
  .filter(one => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1)
  .filter(one => !one.closest(".scroll, figure")).map(one => one.outerHTML.slice(0, 80))"""
_OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One start for all tests: a page with everything on it."""
    folder = tmp_path_factory.mktemp("page")
    costs = {"uniform": 1, "curr": 2.6, "top50": 2.6}
    long = "questions_and_answers_of_a_forum_with_a_very_long_name"
    about = {"tasks": [*TASKS, long], "benchmarks": BENCHMARKS | {"in_domain": ["news", "code", "medical", long]}}
    settings = content(seeds=[1, 2, 3], trainings=costs, untrained=["bm25"], dimensions=[64], **about)
    tree = Finished(folder, settings, shift={"curr": 0.05, "top50": -0.05})
    tree.untrained("bm25", 0.3)
    tree.cut({64: 0.9}, bm25=None)
    tree.carried_by_few("news")
    tree.leaks({"scifact": 2})
    tree.report()
    with opened(folder / "report/index.html", tmp_path_factory.mktemp("profile")) as browser:
        browser.size(1300, 900)
        yield browser


def test_nothing_goes_wrong_and_nothing_is_fetched(browser):
    assert browser.told("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
    (asked,) = browser.told("Network.requestWillBeSent")
    assert Path(asked["request"]["url"]).name == "index.html"


@pytest.mark.parametrize("width", [360, 768, 1300])
def test_nothing_reaches_beyond_the_screen(browser, width):
    browser.size(width, 800)
    browser.evaluate(_OPEN_ALL)
    assert browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert browser.evaluate(_BEYOND) == []


def test_the_zero_line_is_in_view_on_a_phone(browser):
    """Figures of differences are as wide as the screen; on a wide one the other drawing is shown."""
    widths = "[...document.querySelectorAll('figure .{} svg')].map(one => one.getBoundingClientRect().right)"
    browser.size(360, 800)
    narrow = browser.evaluate(widths.format("narrow"))
    assert len(narrow) == 3 and all(300 < right <= 360 for right in narrow)
    assert set(browser.evaluate(widths.format("wide"))) == {0}
    browser.size(1300, 800)
    assert set(browser.evaluate(widths.format("narrow"))) == {0} != set(browser.evaluate(widths.format("wide")))


@pytest.mark.parametrize(("medium", "scheme"), [("screen", "light"), ("screen", "dark"), ("print", "light")])
def test_every_text_can_be_read(browser, medium, scheme):
    browser.look(medium, scheme)
    browser.evaluate(_OPEN_ALL)
    assert browser.evaluate(_CONTRAST) == []
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    browser.look()


def test_a_table_is_sorted_by_the_keyboard(browser):
    weights = "[...document.querySelectorAll('.weights tbody tr')].map(row => row.cells[0].textContent)"
    before = browser.evaluate(weights)
    browser.evaluate("document.querySelector('.weights thead button').focus()")
    browser.press("Enter")
    assert browser.evaluate(weights) == sorted(before) != before
    browser.press("Enter")
    assert browser.evaluate(weights) == sorted(before, reverse=True)
    assert browser.evaluate("document.querySelector('.weights th').getAttribute('aria-sort')") == "descending"


def test_numbers_with_units_are_sorted_as_numbers_and_sums_stay_below(browser):
    column = "[...document.querySelectorAll('{} tbody tr')].map(row => row.cells[{}].textContent.trim())"
    browser.evaluate("document.querySelectorAll('#rows details')[2].querySelectorAll('thead button')[1].click()")
    (*found, total) = browser.evaluate(column.format("#rows details:nth-of-type(3)", 1))
    numbers = [int(cell.replace(",", "")) for cell in found if cell != "-"]
    assert numbers == sorted(numbers, reverse=True) and int(total.replace(",", "")) == sum(numbers)


def test_groups_of_a_table_keep_their_rows(browser):
    bodies = "[...document.querySelector('#scores table').tBodies]"
    groups = f"{bodies}.map(body => [...body.rows].map(row => row.cells[0].innerText))"
    before = browser.evaluate(groups)
    browser.evaluate("[...document.querySelectorAll('#scores thead button')][2].click()")
    after = browser.evaluate(groups)
    assert [(rows[0], sorted(rows)) for rows in after] == [(rows[0], sorted(rows)) for rows in before]
    assert after != before


def test_every_control_is_reached_by_tab_and_can_be_seen(browser):
    browser.size(1300, 800)
    browser.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
    number = browser.evaluate("document.querySelectorAll('a, summary, button').length")
    seen = set()
    for _ in range(12):
        browser.press("Tab")
        seen.add(browser.evaluate("document.activeElement.outerHTML.slice(0, 60)"))
        assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert len(seen) == 12 < number
    assert browser.evaluate("[...document.querySelectorAll('[tabindex]')].every(one => one.tabIndex == 0)")


def test_links_lead_somewhere_on_the_page(browser):
    lost = (
        "[...document.querySelectorAll('a')].map(a => a.getAttribute('href')).filter(to => !document.querySelector(to))"
    )
    assert browser.evaluate(lost) == []
    assert (
        browser.evaluate("[...document.querySelectorAll('figcaption')].filter(one => !one.querySelector('a')).length")
        == 0
    )


def test_what_a_link_leads_to_is_open(browser):
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = false)")
    browser.evaluate("document.querySelector('#tasks a[href=\"#queries-tiny-code\"]').click()")
    assert browser.evaluate("document.getElementById('queries-tiny-code').open")
    browser.evaluate("document.querySelector('a[href=\"#course-2\"]').click()")
    opened = "[...document.querySelectorAll('#learning details[open]')].map(one => one.firstChild.textContent)"
    assert browser.evaluate(opened) == ["Seed 2", "The figures' numbers"]


def test_all_is_open_on_paper(browser):
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = false)")
    browser.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert browser.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    browser.evaluate("dispatchEvent(new Event('afterprint'))")
    assert browser.evaluate("document.querySelectorAll('details[open]').length") == 0
