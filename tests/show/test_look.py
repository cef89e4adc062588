"""What linked views are made of, and the server behind them."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import product
from urllib.parse import urlsplit

import numpy as np
import pytest
import xarray as xr

import shapeshift as ss
from shapeshift.data.blocks import source_of
from shapeshift.show.decoding import decoded
from shapeshift.show.explorer import Explorer, explorer, results_in
from shapeshift.show.look import MARKS, look_at, thinned
from shapeshift.show.look_figures import plain
from shapeshift.show.look_page import part_of, policy
from shapeshift.show.packing import along, in_script, packed, quantised
from shapeshift.show.results import Column, results_of
from shapeshift.show.served import server_of

# --- arrays in words -----------------------------------------------------------------------------


def test_quantised_numbers_come_back_to_half_a_step() -> None:
    import base64

    values = np.random.default_rng(0).normal(size=(7, 9)) * 1e-3 + 5
    values[2, 3] = np.nan
    told = quantised(values)
    codes = np.frombuffer(base64.b64decode(told["data"]), "<i2").reshape(told["shape"])
    back = np.where(codes == -32768, np.nan, codes * told["step"] + told["offset"])
    np.testing.assert_allclose(back, values, atol=0.51 * told["step"], equal_nan=True)
    assert told["step"] <= np.nanmax(values) - np.nanmin(values)
    assert quantised(np.full(3, np.nan))["step"] == 1.0


def test_sides_are_even_or_told_value_by_value() -> None:
    assert along(0.1 * np.arange(1000) + 3) == {"first": 3.0, "step": pytest.approx(0.1), "size": 1000}
    assert along([0.0, 1.0, 3.0]) == packed([0.0, 1.0, 3.0])
    assert along([4.0]) == {"first": 4.0, "step": 0.0, "size": 1}


@pytest.mark.parametrize("word", ["</script>", "<!--", "&", "\u2028", '"'])
def test_nothing_ends_a_script(word: str) -> None:
    text = in_script({"a": word})
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == {"a": word}


def test_labels_start_no_formula() -> None:
    for text in ("$$x$$", r"\(x\)", r"\[x\]", "a $$$$ b"):
        assert "$$" not in plain(text)
        assert not {r"\(", r"\["} & {plain(text)[k : k + 2] for k in range(len(plain(text)))}


def test_the_policy_allows_these_scripts_and_no_other() -> None:
    one, two = policy(("a",)), policy(("a", "b"))
    assert "unsafe-inline'; script-src 'sha256-" in one
    assert one.count("sha256-") == 1
    assert two.count("sha256-") == 2
    assert "unsafe-eval" not in two


# --- results -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def X() -> xr.DataArray:
    return ss.synthetic.article(n=120, seed=1)[0]


@pytest.fixture(scope="module")
def model(X) -> ss.ShiftVAE:
    return ss.ShiftVAE(n_latent=2, epochs=8, random_state=0).fit(X)


@pytest.fixture(scope="module")
def p(X, model) -> ss.Posterior:
    return model.posterior(X)


def test_columns_are_the_posteriors(p) -> None:
    found = results_of(p.to_dataset())
    assert found.names[0] == "shift"
    assert found.latents == ["z1", "z2"]
    np.testing.assert_array_equal(found.column("shift").values, p.shift.astype(np.float32))
    np.testing.assert_array_equal(found.column("z2_sd").values, p.z_sd[:, 1].astype(np.float32))
    assert "gain" not in found.names  # the same of all
    assert [found.words[k] for k in found.flags] == p.flags.tolist()


@pytest.mark.parametrize(("shape", "most"), [((1000,), 100), ((40, 50), 100), ((3, 900), 500), ((8,), 100)])
def test_an_even_part_of_places_is_kept(shape: tuple[int, ...], most: int) -> None:
    dims = ("y", "x")[-len(shape) :]
    coords = {d: (d, 0.5 * np.arange(n)) for d, n in zip(dims, shape, strict=True)}
    values = {n: (dims, np.arange(float(np.prod(shape))).reshape(shape)) for n in ("noise_sd", "shift")}
    data = xr.Dataset(values | {"flags": (dims, np.full(shape, ""))}, coords=coords)
    whole = results_of(data)
    rows, sides = thinned(whole, most)
    some = whole.at(rows, sides)
    assert len(some) == np.prod([len(s.values) for s in sides]) <= max(most, 8)
    assert len(some) >= min(len(whole), most) / 5
    at = [g.ravel() for g in np.meshgrid(*(s.values for s in sides), indexing="ij")]
    kept = data.stack(all=dims).isel(all=rows)
    for d, values_of in zip(dims, at, strict=True):
        np.testing.assert_array_equal(kept[d].values, values_of)
    np.testing.assert_array_equal(some.column("shift").values, kept["shift"].values.astype(np.float32))


def test_the_grid_of_the_decoder_is_the_decoder(model, p) -> None:
    found = decoded(model, p.z)
    grid = np.array(list(product(*found.axes)))
    np.testing.assert_allclose(found.values[0][0], model.generate(grid), atol=1e-5)
    for k, axis in enumerate(found.axes):
        assert axis[0] <= np.quantile(p.z[:, k], 0.01)
        assert axis[-1] >= np.quantile(p.z[:, k], 0.99)
    middle = grid.reshape(*map(len, found.axes), 2)
    cell = (middle[:-1, :-1] + middle[1:, 1:]).reshape(-1, 2) / 2  # the middle of every cell, worst of all
    values = found.values[0][0].reshape(*map(len, found.axes), -1)
    mean = (values[:-1, :-1] + values[1:, :-1] + values[:-1, 1:] + values[1:, 1:]) / 4
    exact = model.generate(cell)
    assert np.abs(mean.reshape(exact.shape) - exact).max() < 0.05 * np.ptp(exact)


def test_classes_have_a_grid_each() -> None:
    rng, x = np.random.default_rng(0), np.linspace(-5, 5, 60)
    centre = rng.uniform(-1, 1, (80, 1))
    X = np.where(np.arange(80)[:, None] % 2, np.exp(-((x - centre) ** 2)), np.exp(-np.abs(x - centre) / 0.2))
    X = X + 0.02 * rng.normal(size=X.shape)
    model = ss.ShiftVAE(n_latent=1, n_classes=2, epochs=4, random_state=0).fit(X)
    found = decoded(model, model.posterior(X).z)
    assert found.classes == tuple(map(str, model.classes_))
    for k, kind in enumerate(model.classes_):
        z = found.axes[0][:, None]
        np.testing.assert_allclose(
            found.values[0][k], model.generate(z, condition=[kind] * len(z)), atol=1e-5
        )
    conditional = ss.ShiftVAE(n_latent=1, epochs=2).fit(X, condition=np.arange(80) % 2)
    assert decoded(conditional, np.zeros((3, 1))) is None


def test_a_page_holds_no_more_than_it_has_room_for() -> None:
    X = ss.synthetic.article(n=30_000, seed=3)[0]
    model = ss.ShiftVAE(n_latent=1, epochs=2).fit(X[:300])
    found = look_at(model, X, model.posterior(X, refine=False))
    assert len(found.results) == 4000
    assert "4000 of the 30000 signals, evenly spread" in found.told
    np.testing.assert_allclose(found.channels[0].raw, X.values[found.numbers])
    assert "4000 of the 30000" in part_of(found).markup
    assert "marks" not in found.told  # each of the 4000 has its own
    all_of_them = Explorer(
        model, source_of(X, images=False), model.posterior(X, refine=False).to_dataset(), ""
    )
    assert f"{MARKS} marks, evenly spread, stand for 30000 signals" in all_of_them.look.told
    assert all_of_them.look.as_dict()["marks"] == MARKS


@pytest.mark.parametrize(
    ("name", "low", "high", "angle"),
    [("rotation", -180, 180, True), ("rotation", -60, 60, False), ("shift", -180, 180, False)],
)
def test_angles_are_those_that_lie_to_all_sides(name: str, low: float, high: float, angle: bool) -> None:
    assert Column(name, name, np.linspace(low, high, 99, dtype=np.float32)).angle is angle


# --- the server ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(X, model, p) -> Explorer:
    return Explorer(model, source_of(X, images=False), p.to_dataset(), "article")


@pytest.fixture(scope="module")
def address(found) -> Iterator[str]:
    server, address = server_of(found.ask)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield address
    server.shutdown()
    server.server_close()
    thread.join()


def asked(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    """Status and content of an answer to a request for a path behind the secret, or from the root."""
    at = urlsplit(address)
    line = http.client.HTTPConnection(at.hostname, at.port, timeout=20)
    line.request(method, path if path.startswith("/") else at.path + path, headers=headers)
    answer = line.getresponse()
    content = answer.read()
    line.close()
    return answer.status, content


def test_what_is_served_is_what_was_found(address, found, X, model, p) -> None:
    assert b"Look around" in asked(address, "")[1]
    shift = np.frombuffer(asked(address, "column/shift")[1], "<f4")
    np.testing.assert_array_equal(shift, p.shift.astype(np.float32))
    assert len(asked(address, "flags")[1]) == len(X)
    raw, drawn = np.frombuffer(asked(address, "signal/17")[1], "<f4").reshape(2, -1)
    np.testing.assert_allclose(raw, X.values[17], rtol=1e-6)
    np.testing.assert_allclose(drawn, model.reconstruct(X[17:18]).values[0], atol=0.01)
    shape = np.frombuffer(asked(address, "decoded?z=0.5,-0.25")[1], "<f4")
    np.testing.assert_allclose(shape, model.generate(np.array([[0.5, -0.25]]))[0], atol=1e-6)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/x", "//", "/../../etc/passwd", "/%2e%2e/", "column/nothing", "signal/120", "signal/-1"),
        *("signal/1/2", "signal/%31%00", "../x", "..%2f..%2fetc/passwd", "nothing", "signal/", "column/"),
    ],
)
def test_nothing_else_is_there(address, path: str) -> None:
    status, content = asked(address, path)
    assert status == 404
    assert content == b"there is nothing here"


@pytest.mark.parametrize("query", ["z=", "z=x", "z=nan,0", "z=1,2,3", "", "z=" + "1," * 500])
def test_shapes_that_are_none_are_refused(address, query: str) -> None:
    assert asked(address, f"decoded?{query}")[0] == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_pages_are_not_answered(address, headers: dict[str, str]) -> None:
    status, content = asked(address, "column/shift", **headers)
    assert status == 403
    assert len(content) < 100


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_only_questions_are_answered(address, method: str) -> None:
    assert asked(address, "column/shift", method)[0] == 501


def test_a_port_that_is_taken_is_a_sentence(address) -> None:
    with pytest.raises(ss.ShapeshiftError, match=r"got port \d+, which cannot be had .* needed a free one"):
        server_of(lambda *_: None, urlsplit(address).port)


def test_a_browser_that_turns_away_is_no_error() -> None:
    server, address = server_of(lambda *_: ("text/plain", bytes(50_000_000)))
    errors, ended, at = [], threading.Event(), urlsplit(address)
    server.handle_error = lambda *_: errors.append(sys.exc_info()[1])  # type: ignore[method-assign]
    close = server.shutdown_request
    server.shutdown_request = lambda request: (close(request), ended.set())  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        line = socket.create_connection((at.hostname, at.port))
        line.sendall(f"GET {at.path} HTTP/1.1\r\nHost: {at.netloc}\r\n\r\n".encode())
        assert line.recv(15) == b"HTTP/1.1 200 OK"
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, no farewell
        line.close()
        assert ended.wait(60)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert errors == []


def test_secrets_differ_and_are_long(found) -> None:
    secrets = set()
    for _ in range(3):
        server, address = server_of(found.ask)
        server.server_close()
        secrets.add(urlsplit(address).path.strip("/"))
    assert len(secrets) == 3
    assert all(len(word) >= 32 for word in secrets)


# --- runs ----------------------------------------------------------------------------------------


def test_what_does_not_belong_together_is_refused(X, model, p, tmp_path) -> None:
    with pytest.raises(ss.ShapeshiftError, match=r"got 100 signals and results of 120.*--results"):
        Explorer(model, source_of(X[:100], images=False), p.to_dataset(), "")
    for name in ("none.nc", "a.csv"):
        with pytest.raises(ss.ShapeshiftError, match="name it with --results"), results_in(tmp_path / name):
            pass
    X.to_netcdf(tmp_path / "x.nc")
    with (
        pytest.raises(ss.ShapeshiftError, match=r"x\.nc: got no flags, noise_sd, z"),
        results_in(tmp_path / "x.nc"),
    ):
        pass
    (tmp_path / "bad.nc").write_bytes(b"rubbish")
    with pytest.raises(ss.ShapeshiftError, match=r"bad\.nc: got a file"), results_in(tmp_path / "bad.nc"):
        pass
    model.save(tmp_path / "m.safetensors")
    alone = explorer(tmp_path / "m.safetensors", None, None, {})
    with pytest.raises(ss.ShapeshiftError, match="tells of no file"), alone:
        pass


def test_ctrl_c_ends_the_server_with_a_word(X, model, p, tmp_path) -> None:
    model.save(tmp_path / "m.safetensors")
    X.to_netcdf(tmp_path / "x.nc")
    ss.save(p, tmp_path / "p.nc")
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from shapeshift.show.cli import main; main()"
    words = [
        "explore",
        tmp_path / "m.safetensors",
        tmp_path / "x.nc",
        "--results",
        tmp_path / "p.nc",
        "--no-browser",
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, *map(str, words)], **pipes) as process:
        address = process.stdout.readline().strip()
        assert asked(address, "signal/3")[0] == 200
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said.rstrip().endswith("ended")
