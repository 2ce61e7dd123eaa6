"""How a browser shows the report page: wide, on a phone, dark and printed."""

import base64
import re
import shutil

import pytest
from helpers.report_pages import Page

# Elements with text of their own that reach beyond the screen or beyond their card. What scrolls sideways is left out.
OVERFLOWING = """
const found = [];
for (const element of document.querySelectorAll("main *")) {
  const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (element.closest(".scroll, svg") || !hasText) continue;
  const box = element.getBoundingClientRect(), card = element.closest(".card");
  const right = card ? card.getBoundingClientRect().right : innerWidth;
  if (box.width && (box.right > right + 1 || element.scrollWidth > element.clientWidth + 1 && element.clientWidth))
    found.push(element.textContent.slice(0, 60));
}
return found;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no chromium and chromedriver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    quiet = "no-first-run disable-background-networking disable-component-update disable-sync disable-quic"
    for flag in f"headless=new no-sandbox disable-gpu {quiet}".split():
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def open_page(browser, folder, width, scheme="light", unfolded=True):
    """Shows the report of the folder, by default with all that is folded."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"media": "", "features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get((folder / "report" / "index.html").as_uri())
    if unfolded:
        browser.execute_script("document.querySelectorAll('details').forEach(part => part.open = true)")


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_browser_shows_the_report_without_overflow_or_errors(folder, browser, width, scheme):
    open_page(browser, folder, width, scheme)
    assert browser.execute_script("return innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    pictures = "return [...document.images].map(image => [image.naturalWidth, image.currentSrc])"
    found = browser.execute_script(pictures)
    assert len(found) > 5
    assert all(natural_width > 0 for natural_width, _ in found)
    shown = {source for _, source in found}
    dark = {attrs["srcset"] for tag, attrs in Page(folder).tags if tag == "source"}
    assert shown.isdisjoint(dark) if scheme == "light" else dark <= shown
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.parametrize("unfolded", [True, False])
def test_no_text_overflows_on_a_phone_and_the_first_card_is_on_the_first_screen(folder, browser, unfolded):
    open_page(browser, folder, 375, unfolded=unfolded)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 375
    assert browser.execute_script(OVERFLOWING) == []
    assert browser.execute_script("return document.querySelector('.card').getBoundingClientRect().top") < 700


def test_pointing_at_a_row_shows_its_cluster_and_its_probability(folder, browser):
    open_page(browser, folder, 1280)
    x, y, text = browser.execute_script("""
        const row = document.querySelector("svg.map use");
        row.scrollIntoView({ block: "center" });
        const box = row.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2, row.dataset.t];
    """)
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
    tip = browser.execute_script("return document.querySelector('.tip').textContent")
    assert re.fullmatch(r"row \d+: cluster \d+, probability .*\d", tip)
    assert re.fullmatch(r"row \d+: cluster \d+, probability .*\d", text)


def test_a_cluster_has_the_same_colour_on_its_card_and_on_the_map(folder, browser):
    open_page(browser, folder, 1280)
    cards, rows = browser.execute_script("""
        const colour = (element) => getComputedStyle(element).color;
        return [
            [...document.querySelectorAll(".card")].map((card) => [card.querySelector("h3").textContent, colour(card)]),
            [...document.querySelector("svg.map").querySelectorAll("use")].map((row) => [row.dataset.t, colour(row)]),
        ];
    """)
    of_card = {name.lower(): colour for name, colour in cards}
    assert len(set(of_card.values())) == len(of_card)
    assert all(of_card[re.search(r"cluster \d+", text)[0]] == colour for text, colour in rows)


def test_the_printed_report_is_short_and_nothing_is_cut_off(folder, browser):
    open_page(browser, folder, 720, unfolded=False)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 720
    cut = "[...document.querySelectorAll('.scroll')].filter(part => part.scrollWidth > part.clientWidth + 1)"
    assert browser.execute_script(f"return {cut}.length") == 0
    pages = browser.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})["data"]
    assert len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(pages))) <= 6
