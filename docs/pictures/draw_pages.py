"""Draw the pictures of docs/serve.md: the pages of `graphret serve` over the films of a demo, in a real browser.

Run as ``python docs/pictures/draw_pages.py ADDRESS FILM [--out FOLDER]``, with a service over generated films.
"""

from __future__ import annotations

import argparse
import io
import shutil
import time
from pathlib import Path
from typing import Any

from PIL import Image

WIDTH, HEIGHT, COLOURS = 1280, 860, 128


def draw(address: str, film: str, out: Path) -> list[Path]:
    """Write serve_search.png, serve_read.png and serve_map.png; return their paths."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(address)
        page.set_input_files("#film", film)
        wait(page, "document.getElementById('upload').value")
        page.click("#go")
        page.wait_for_selector(".answer .film")
        wait(
            page, "[...document.querySelectorAll('.film img')].slice(0, 8).every(i => i.complete && i.naturalWidth > 1)"
        )
        search = keep(page, out / "serve_search.png")
        page.locator(".film .picture").first.click()
        page.wait_for_timeout(1000)
        page.keyboard.press("m")
        wait(page, "document.getElementById('reader-state').innerText.includes('Red')")
        page.wait_for_timeout(500)
        read = keep(page, out / "serve_read.png")
        page.goto(f"{address}map")
        wait(page, "document.getElementById('map-state').innerText.includes('communities')")
        page.locator(".communities button").first.click()
        wait(page, "document.getElementById('chosen-id').innerText")
        page.click("#grow")
        page.wait_for_timeout(3000)
        page.click("#fit")
        page.wait_for_timeout(1000)
        return [search, read, keep(page, out / "serve_map.png")]


def wait(page: Any, condition: str) -> None:
    """Wait for a condition: the policy of the pages forbids playwright's own way."""
    deadline = time.monotonic() + 60
    while not page.evaluate(condition):
        if time.monotonic() > deadline:
            raise SystemExit(f"{condition} did not come true")
        page.wait_for_timeout(100)


def keep(page: Any, path: Path) -> Path:
    """Keep what the page shows as a small PNG."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(COLOURS).save(path, format="PNG", optimize=True)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("film")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    asked = parser.parse_args()
    draw(asked.address, asked.film, asked.out)
