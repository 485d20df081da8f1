"""The pages in a real browser: what a user does, with no error on the console and no request to any other host."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import graphret
from graphret.mapping import community_summaries

pytestmark = pytest.mark.browser

TOKEN = "a-token-of-the-tests-1234"  # noqa: S105 - of the tests
AXE = Path(__file__).with_name("axe") / "axe.min.js"
SIZES = {"wide": (1280, 900), "narrow": (800, 900)}


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def service_of(tmp_path_factory):
    """Start `graphret serve` over indexes and return its address."""
    processes = []

    def start(*roots, options=()):
        lists = tmp_path_factory.mktemp("lists") / "lists.sqlite"
        command = [sys.executable, "-m", "graphret", "serve", *map(str, roots), "--port", "0", "--lists", str(lists)]
        process = subprocess.Popen(
            [*command, "--no-thumbnails", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        processes.append(process)
        return process.stdout.readline().split()[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def films_address(service_of, phantom):
    return service_of(phantom.root)


@pytest.fixture(scope="module")
def codes_address(service_of, code_root):
    return service_of(code_root)


@pytest.fixture
def browse(browser):
    """Open a page; what must not happen on it is gathered, and looked at when the test ends."""
    contexts, wrong = [], []

    def start(address, *, size="wide", dark=False, expected=()):
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)

        def note(text):
            if not any(words in text for words in expected):
                wrong.append(text)

        page.on("console", lambda message: note(f"console: {message.text}") if message.type == "error" else None)
        page.on("pageerror", lambda error: note(f"error: {error}"))
        page.on("dialog", lambda dialog: (note(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request", lambda request: note(f"request: {request.url}") if not is_ours(request.url, address) else None
        )
        page.goto(address)
        return page

    yield start
    for context in contexts:
        context.close()
    assert not wrong


def wait(page, condition, argument=None):
    """Wait for a condition; playwright's own way evaluates texts inside the page, which its policy forbids."""
    deadline = time.monotonic() + 30
    while not page.evaluate(condition, argument):
        assert time.monotonic() < deadline, f"{condition} did not come true"
        page.wait_for_timeout(50)


def is_ours(url, address):
    host = "/".join(address.split("/")[:3])
    return url.startswith((f"{host}/", "blob:", "data:"))


def serious_faults(page):
    """What axe-core finds on a page that is serious or worse; evaluated, as the policy of the page forbids scripts."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {node['html'][:150]} {node['failureSummary'][:200]}"
        for fault in found["violations"]
        if fault["impact"] in {"serious", "critical"}
        for node in fault["nodes"]
    ]


def is_too_wide(page):
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def send(page, path):
    page.set_input_files("#film", str(path))
    wait(page, "document.getElementById('upload').value")
    page.click("#go")
    page.wait_for_selector(".answer .film")


def ids_of(page, answer=0):
    return page.locator(".answer").nth(answer).locator("li.film").evaluate_all("films => films.map(f => f.dataset.id)")


def test_search_by_a_film(browse, films_address, phantom):
    page = browse(films_address)
    send(page, phantom.others.paths[0])
    index = graphret.open(phantom.root)
    assert ids_of(page) == index.query(phantom.others.paths[0], 20).ids[0].tolist()
    loaded = "[...document.querySelectorAll('.film img')].slice(0, 4).every(i => i.complete && i.naturalWidth > 1)"
    wait(page, loaded)
    frame = page.locator("#preview").bounding_box()
    page.mouse.move(frame["x"] + 5, frame["y"] + 5)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.6, frame["y"] + frame["height"] * 0.6, steps=4)
    page.mouse.up()
    whole = ids_of(page)
    crop = [float(part) for part in page.input_value("#crop").split(",")]
    with page.expect_response(lambda response: response.url.endswith("/hits")):
        page.click("#go")
    pixels = graphret.data.images.read_pixels(phantom.others.paths[0])
    height, width = pixels.shape
    part = pixels[round(crop[1] * height) : round(crop[3] * height), round(crop[0] * width) : round(crop[2] * width)]
    page.wait_for_timeout(300)
    assert ids_of(page) == index.query([part], 20).ids[0].tolist()
    assert ids_of(page) != whole


def test_filters_rankings_and_examples(browse, codes_address, code_root):
    page = browse(codes_address)
    page.fill("#id", "film 7/ü")
    page.locator("summary", has_text="view").click()
    page.get_by_role("checkbox", name="PA", exact=True).check()
    page.get_by_role("checkbox", name="region_growing").check()
    page.click("#go")
    page.wait_for_selector(".answer .film")
    index = graphret.open(code_root)
    for answer, ranking in enumerate((None, "region_growing")):
        expected = index.query("film 7/ü", 20, ranking=ranking, where={"view": "PA"}).ids[0].tolist()
        assert ids_of(page, answer) == expected
    first, second = ids_of(page)[:2]
    page.get_by_role("button", name="More like hit 1", exact=True).first.click()
    page.get_by_role("button", name="Not like hit 2", exact=True).first.click()
    with page.expect_response(lambda response: response.url.endswith("/hits")):
        page.click("#go")
    wait(page, "first => document.querySelector('.answer li.film').dataset.id !== first", first)
    wanted = index.query_examples(["film 7/ü", first], [second], 20, where={"view": "PA"}).ids[0].tolist()
    assert ids_of(page) == [film for film in wanted if film]


def test_ids_and_labels_are_text(browse, codes_address):
    page = browse(codes_address)
    page.fill("#id", "<img src=x onerror=alert(1)>3")
    page.click("#go")
    page.wait_for_selector(".answer .film")
    page.locator("summary", has_text="device").click()
    page.locator("details", has_text="device").locator("input").nth(1).check()
    page.fill("#id", "film 8/ü")
    page.fill("#k", "60")
    page.locator("details", has_text="device").locator("input").nth(0).check()
    with page.expect_response(lambda response: response.url.endswith("/hits")):
        page.click("#go")
    wait(page, "document.querySelectorAll('.answer li.film').length > 50")
    assert page.locator(".id", has_text="<img src=x onerror=alert(1)>3").count() == 1
    assert page.locator(".labels", has_text="<b>Mass").count() > 5
    assert page.locator("img[src=x]").count() == 0
    assert "Doe" not in page.content()


def test_marks_are_kept_on_the_page_of_lists(browse, codes_address):
    page = browse(codes_address)
    page.fill("#id", "film 7/ü")
    page.click("#go")
    page.wait_for_selector(".answer .film")
    marked = ids_of(page)[0]
    button = page.get_by_role("button", name="Mark hit 1 as relevant", exact=True).first
    button.click()
    page.wait_for_selector(".mark[aria-pressed=true]")
    page.goto(f"{codes_address}lists")
    row = page.locator("tbody tr").first
    assert row.locator("td").nth(2).inner_text() == marked
    assert row.locator("td").nth(3).inner_text() == "relevant"
    with page.expect_response(lambda response: "/api/v1/lists/" in response.url):
        row.locator("input").fill("a <b>note</b>")
        row.locator("input").blur()
    page.reload()
    assert page.locator("tbody tr input").first.input_value() == "a <b>note</b>"
    assert not serious_faults(page)


GREY = """name => {
  const canvas = document.getElementById(name);
  if (!canvas.width) return 0;
  return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.reduce((a, b) => a + b, 0);
}"""


def test_the_reading_view(browse, films_address, phantom):
    page = browse(films_address)
    send(page, phantom.others.paths[0])
    page.locator(".film .picture").first.click()
    for name in ("pane-query", "pane-hit"):
        wait(page, f"({GREY})('{name}') > 1000")
    before = page.evaluate(GREY, "pane-hit")
    page.keyboard.press("i")
    wait(page, f"({GREY})('pane-hit') !== {before}")
    page.keyboard.press("i")
    page.keyboard.press("+")
    wait(page, "document.getElementById('reader').dataset.zoom === '1.250'")
    state = page.locator("#reader-state").inner_text()
    page.keyboard.press("[")
    wait(page, "old => document.getElementById('reader-state').innerText !== old", state)
    page.keyboard.press("m")
    wait(page, "document.getElementById('reader-state').innerText.includes('Red places')")
    first = page.locator("#caption-hit").inner_text()
    page.keyboard.press("n")
    wait(page, "old => document.getElementById('caption-hit').innerText !== old", first)
    assert "edge" in page.locator("#reader-why").inner_text()
    assert not serious_faults(page)
    assert not is_too_wide(page)
    page.keyboard.press("Escape")
    wait(page, "!document.getElementById('reader').open")


def test_the_token(browse, service_of, code_root):
    address = service_of(code_root, options=("--token", TOKEN))
    page = browse(address, expected=("403",))
    assert page.url.endswith("/login")
    assert not serious_faults(page)
    page.fill("#token", "not the token at all")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector(".problem")
    page.fill("#token", TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("#ask")
    page.fill("#id", "film 7/ü")
    page.click("#go")
    page.wait_for_selector(".answer .film")


def test_the_form_waits_for_its_scripts(browse, codes_address):
    """A click before they are there reloaded the page: no answer, and the film's id in the address."""
    page = browse(codes_address)
    held = []
    page.route("**/static/htmx.min.js", lambda route: held.append(route))
    page.goto(codes_address, wait_until="commit")
    page.wait_for_selector("#ask")
    page.fill("#id", "film 7/ü")
    page.press("#id", "Enter")
    page.click("#go", force=True)
    held[0].continue_()
    page.click("#go")
    page.wait_for_selector(".answer .film")
    assert page.url == codes_address


def test_a_moved_archive_is_searched_without_pictures(browse, service_of, phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("moved")
    shutil.copytree(phantom.films, folder / "films")
    table = graphret.read_dataset("phantom", folder / "films")
    archived = table.splits != "test"
    encoder = graphret.open(phantom.root).encoder
    graphret.build(table.select(archived), encoder, out=folder / "index", k=6, n_threads=1, tune=False)
    shutil.rmtree(folder / "films")
    page = browse(service_of(folder / "index"), expected=("422",))
    send(page, phantom.others.paths[0])
    assert (
        "20 of 20 films cannot be shown, the first: there is no such file"
        in page.locator(".answer .problem").inner_text()
    )
    wait(page, "document.querySelector('.film img').naturalWidth > 1")
    page.locator(".film .picture").first.click()
    wait(page, "document.getElementById('caption-hit').innerText.includes('there is no such file')")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_are_accessible_and_fit(browse, films_address, phantom, size, dark):
    page = browse(films_address, size=size, dark=dark)
    page.wait_for_selector(".pick")
    assert not serious_faults(page)
    send(page, phantom.others.paths[0])
    for summary in page.locator("fieldset summary").all():
        summary.click()
    assert not serious_faults(page)
    assert not is_too_wide(page)
    page.goto(f"{films_address}lists")
    assert not serious_faults(page)
    assert not is_too_wide(page)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_reading_view_and_the_map_are_accessible_and_fit(browse, films_address, phantom, size, dark):
    page = browse(films_address, size=size, dark=dark)
    send(page, phantom.others.paths[0])
    page.locator(".film .picture").first.click()
    for name in ("pane-query", "pane-hit"):
        wait(page, f"({GREY})('{name}') > 1000")
    for key, said in (("m", "Red places"), ("i", ""), ("w", "")):
        page.keyboard.press(key)
        wait(page, f"document.getElementById('reader-state').innerText.includes('{said}')")
    wait(page, "document.querySelectorAll('#reader [aria-pressed=true]').length === 3")
    assert not serious_faults(page)
    assert not is_too_wide(page)
    assert not page.evaluate("(r => r.scrollWidth > r.clientWidth)(document.getElementById('reader'))")
    page.goto(f"{films_address}map")
    wait(page, "document.getElementById('map-state').innerText.includes('communities')")
    page.get_by_role("button", name="films").first.click()
    wait(page, "document.getElementById('chosen-id').innerText")
    page.click("#grow")
    wait(page, "document.querySelectorAll('#grown li').length > 3")
    page.select_option("#colour", "view")
    wait(page, "document.getElementById('legend').innerText.includes('PA')")
    assert not serious_faults(page)
    assert not is_too_wide(page)


def test_the_map(browse, films_address, phantom):
    page = browse(f"{films_address}map")
    wait(page, "document.getElementById('map-state').innerText.includes('communities')")
    lit = """() => {
      const canvas = document.getElementById('points'), gl = canvas.getContext('webgl');
      const pixels = new Uint8Array(4 * canvas.width * canvas.height);
      gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
      return pixels.filter((value, place) => place % 4 < 3 && value > 60).length;
    }"""
    wait(page, f"({lit})() > 100")
    page.get_by_role("button", name="films").first.click()
    wait(page, "document.getElementById('chosen-id').innerText")
    index = graphret.open(phantom.root)
    medoid = community_summaries(index)[0].medoid_id
    assert page.locator("#chosen-id").inner_text() == medoid
    page.click("#grow")
    grown = index.query(medoid, 40, ranking="region_growing", fill=False)[0]
    wait(page, f"document.querySelectorAll('#grown li').length === {len(grown)}")
    assert [line.partition(":")[0] for line in page.locator("#grown li").all_inner_texts()] == [hit.id for hit in grown]
    page.select_option("#colour", "view")
    wait(page, "document.getElementById('legend').innerText.includes('PA')")
    page.click("#fit")
    page.locator("#points").click(position={"x": 300, "y": 300})
    assert not serious_faults(page)
    assert not is_too_wide(page)
