"""`shapeshift explore` on a map of a million signals: from a click to its spectrum, and the server's memory.

A real browser clicks random pixels; the clock runs from the pointer's press to the first picture with the new
signal. Memory is the peak of the server's process. The table is written to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measures import machine, table, write

import shapeshift as ss

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

CHUNK = 20_000
FITTED = 3000
# the time of every click, from the press to the second frame after the signal was drawn
CLOCK = """
  window.clicks = []; let pressed = 0;
  document.addEventListener('pointerdown', () => { pressed = performance.now(); }, true);
  const draw = look.draw.bind(look);
  look.draw = (...all) => { draw(...all); const began = pressed;
    requestAnimationFrame(() => setTimeout(() => window.clicks.push(performance.now() - began))); };
"""


def made(path: Path, side: int) -> None:
    """A map of the article's signals (side, side, 100), written a part at a time."""
    n = side * side
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(side, side, 100))
    flat = out.reshape(n, 100)
    for begin in range(0, n, CHUNK):
        count = min(CHUNK, n - begin)
        flat[begin : begin + count] = ss.synthetic.article(n=count, seed=1 + begin // CHUNK)[0].values
    out.flush()


def prepared(folder: Path, side: int) -> tuple[Path, Path, Path]:
    """Signals, a model of some of them, and the posterior of all."""
    data, model, results = folder / "map.npy", folder / "model.safetensors", folder / "posterior.zarr"
    made(data, side)
    X = np.load(data, mmap_mode="r").reshape(-1, 100)[:: max(1, side * side // FITTED)]
    fitted = ss.ShiftVAE(n_latent=2, random_state=0).fit(np.asarray(X))
    fitted.save(model)
    done = ss.stream(fitted, data, results)
    print(f"{done.n_signals} signals in {done.seconds:.0f} s", file=sys.stderr)
    return data, model, results


def memory(process: int) -> float:
    """Peak of a process, in 10^6 bytes: the kernel counts in 1024."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6


def clicked(address: str, side: int, count: int) -> dict[str, Any]:
    """Times of clicks on random pixels, and of the page itself, in ms."""
    from browsing import browser, click, look, opened

    rng = np.random.default_rng(0)
    with browser() as found, opened(found, address) as page:
        ready = page.evaluate("performance.now()")
        look(page, CLOCK)
        for k in range(count):
            row, column = rng.integers(side // 20, side - side // 20, 2)
            click(page, "places", int(column), int(row))
            while len(page.evaluate("window.clicks")) <= k:
                page.wait_for_timeout(5)
            page.wait_for_timeout(400)  # or two clicks are one, and select
        times = page.evaluate("window.clicks")
        shown = look(page, "return look.state.current")
        exact = look(page, "return Array.from(look.model('signal-raw').data.y)")
        return {"ready": ready, "times": times, "shown": shown, "signal": exact}


def run(side: int, count: int) -> dict[str, Any]:
    """One map: sizes, times and memory."""
    with tempfile.TemporaryDirectory() as name:
        data, model, results = prepared(Path(name), side)
        code = "from shapeshift.show.cli import main; main()"
        command = [sys.executable, "-c", code, "explore", model, data, "--results", results, "--no-browser"]
        server = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            found = clicked(server.stdout.readline().strip(), side, count)
            flat = np.load(data, mmap_mode="r").reshape(-1, 100)
            assert np.array_equal(np.float32(found["signal"]), flat[found["shown"]]), (
                "another signal is shown"
            )
            peak = memory(server.pid)
        finally:
            server.terminate()
            server.wait()
    return {
        "signals": side * side,
        "megabytes of signals": round(side * side * 400 / 1e6),
        "clicks": count,
        "click to spectrum, median, ms": float(np.median(found["times"])),
        "click to spectrum, worst, ms": float(np.max(found["times"])),
        "page ready, ms": float(found["ready"]),
        "server's memory, peak, MB": peak,
    }


def report() -> dict[str, Any]:
    """The report on a measured map: its size, and when a browser first paints and has drawn the views."""
    from browsing import browser, opened

    from shapeshift.show.report import write_report

    X = ss.datasets.bepfm_resonance()
    model = ss.ShiftVAE(random_state=0).fit(X)
    with tempfile.TemporaryDirectory() as folder:
        path = write_report(model, X, model.posterior(X), Path(folder) / "report.html")
        with browser() as found, opened(found, path.as_uri()) as page:
            first = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            ready = page.evaluate("performance.now()")
        size = path.stat().st_size / 1e6
    return {"report of bepfm_resonance, MB": size, "first picture, ms": first, "views ready, ms": ready}


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sides", type=int, nargs="+", default=[100, 1000], help="of square maps; %(default)s"
    )
    parser.add_argument("--clicks", type=int, default=50, help="%(default)s")
    o = parser.parse_args()
    of_report, rows = report(), [run(side, o.clicks) for side in o.sides]
    told = (
        "Maps of spectra of 100 samples, from `shapeshift explore`; the report of a measured map, from disk."
    )
    text = "\n\n".join([table([of_report]), table(rows), told, "`python benchmarks/explore.py`"])
    print(text)
    write("explore", {"report": of_report, "rows": rows, "machine": machine(1)}, text)


if __name__ == "__main__":
    main()
