"""A real browser, offline, that complains of every request and every message it should not see."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCREENSHOTS = Path(__file__).parents[1] / "build" / "screenshots"
_OPTIONS = ["--no-sandbox", "--headless", "--disable-background-networking", "--disable-component-update"]
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def browser() -> Iterator[Any]:
    """Debian's chromium, by playwright."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, _NAMES)), None)
    assert path, "got no chromium, needed one: run scripts/browser.sh"
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=path, args=_OPTIONS)
        yield found
        found.close()


@contextmanager
def opened(found: Any, address: str, width: int = 1150, expected: tuple[str, ...] = ()) -> Iterator[Any]:
    """A page whose views are drawn; at its end nothing may have been fetched, nor said but as expected."""
    complaints: list[str] = []
    home = address.split("/")[2] if address.startswith("http") else ""
    context = found.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
    context.set_offline(not home)
    page = context.new_page()

    def seen(request: Any) -> None:
        own = request.url.startswith(("file:", "data:", "blob:")) or (
            home and request.url.split("/")[2] == home
        )
        if not own:
            complaints.append(f"asked for {request.url[:200]}")

    page.on("request", seen)
    page.on("requestfailed", lambda r: complaints.append(f"failed {r.url[:200]}"))
    page.on("pageerror", lambda error: complaints.append(f"error {error}"))
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.goto(address)
    page.wait_for_selector("section.around[data-ready=yes]", timeout=60_000)
    yield page
    assert [c for c in complaints if not c.startswith(expected or ("\0",))] == []
    context.close()


def look(page: Any, script: str) -> Any:
    """What a script makes of the page's views, `look`."""
    return page.evaluate(
        f"async () => {{ const look = document.querySelector('section.around').look; {script} }}"
    )


def source(page: Any, name: str) -> dict[str, list[float]]:
    """Columns that a view draws."""
    listed = "Object.entries(d).map(([k, v]) => [k, Array.from(v)])"
    return look(page, f"const d = look.model('{name}').data; return Object.fromEntries({listed})")


def on_screen(page: Any, view: str, x: float, y: float) -> tuple[float, float]:
    """Where a point of a figure lies on the screen, scrolled into sight."""
    page.locator(f"#look-{view}").scroll_into_view_if_needed()
    code = f"""
      const figure = look.model('{view}'), view = Bokeh.index.roots.find(v => v.model === figure);
      const box = view.canvas_view.el.getBoundingClientRect();
      return [box.left + view.frame.x_scale.compute({x}), box.top + view.frame.y_scale.compute({y})];"""
    return tuple(look(page, code))


def click(page: Any, view: str, x: float, y: float) -> None:
    """Click a point of a figure, in its own units."""
    page.mouse.click(*on_screen(page, view, x, y))


def drag(page: Any, view: str, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one point of a figure to another."""
    first, last = on_screen(page, view, *begin), on_screen(page, view, *end)
    page.mouse.move(*first)
    page.mouse.down()
    page.mouse.move(*[(a + b) / 2 for a, b in zip(first, last, strict=True)], steps=3)
    page.mouse.move(*last, steps=3)
    page.mouse.up()


def keep(page: Any, name: str) -> None:
    """A picture of the views, to be looked at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.locator("section.around").screenshot(path=SCREENSHOTS / f"{name}.png")


# --- for those who do not see, or have no mouse

_FIND = "[...document.querySelectorAll('{}')]"


def _found(page: Any, what: str, then: str) -> Any:
    names = ", ".join(f"section.around {name}" for name in what.split())
    return page.evaluate(f"() => {_FIND.format(names)}{then}")


def focusable(page: Any) -> list[str]:
    """Names of all that the tab key reaches, in its order."""
    name = "e.dataset.place || e.className || e.dataset.latent || e.dataset.pose"
    return _found(page, "select button input [tabindex]", f".filter(e => !e.disabled).map(e => {name})")


def labels(page: Any) -> list[str]:
    """What is written beside everything that can be set."""
    return _found(page, "select input", ".map(e => e.labels.length ? e.labels[0].textContent.trim() : '')")


def contrasts(page: Any) -> list[float]:
    """Contrast of all words to their ground: WCAG 2.2, relative luminance and contrast ratio."""
    pairs = _found(page, "p label button legend", _COLOURS)
    light = [[_luminance(colour) for colour in pair] for pair in pairs]
    return [(max(pair) + 0.05) / (min(pair) + 0.05) for pair in light]


_COLOURS = """.filter(e => e.textContent.trim() && !e.disabled).map(e => {
  const ink = getComputedStyle(e).color;
  for (; e; e = e.parentElement) {
    const ground = getComputedStyle(e).backgroundColor;
    if (!/, 0[)]$|transparent/.test(ground)) return [ink, ground];
  }
  return [ink, 'rgb(255, 255, 255)'];
})"""


def _luminance(colour: str) -> float:
    levels = [int(v) / 255 for v in re.findall(r"\d+", colour)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
    return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
