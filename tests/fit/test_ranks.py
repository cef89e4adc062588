"""Two processes that train together: shares that add up, one model, as good as that of one process."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import shapeshift as ss
from shapeshift.fit.ranks import Ranks, ranks_here

N, LENGTH, OPTIONS = 400, 50, {"epochs": 12, "width": 16}

TOGETHER = """
import contextlib, hashlib, io, itertools, json, os, sys
from torch import distributed
import shapeshift as ss
from shapeshift.errors import ShapeshiftError
from shapeshift.fit import checkpoint, train
from shapeshift.show import cli, report, tasks

folder = sys.argv[1]
real_group, turns = distributed.init_process_group, itertools.count()
def group(backend):  # a place to meet for each of three groups: torchrun's holds addresses of the last one
    store = distributed.FileStore(f"{folder}/store-{next(turns)}", 2)
    real_group(backend, store=store, rank=int(os.environ["RANK"]), world_size=2)
distributed.init_process_group = group
report.write_report = lambda m, X, p, page, **_: page.touch()  # not at stake here
tasks.calibrated = lambda m, X: None
says = []
for more in ((), ("--resume",)):
    fit = ["fit", folder + "/x.npy", "--out", folder + "/run", "--epochs", "3", "--json", *more]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        cli.app(fit, standalone_mode=False)
    says.append([out.getvalue(), err.getvalue()])
distributed.init_process_group("gloo")
rank = distributed.get_rank()
real, rows = train.elbo, []
def elbo(vae, x, *rest):
    rows.append(len(x))
    return real(vae, x, *rest)
train.elbo = elbo
if rank:
    checkpoint.write = lambda *_: sys.exit("another than the first has written")
X, _ = ss.synthetic.article(n={N}, seed=1)
X = X[:, ::2]
options = {OPTIONS}
state = ss.Checkpoint(folder + "/state", every=1)
m = ss.ShiftVAE(**options).fit(X, checkpoint=state)
weights = b"".join(t.numpy().tobytes() for t in m.fitted_.vae.state_dict().values())
again = ss.ShiftVAE(**options).fit(X, checkpoint=state)
same = b"".join(t.numpy().tobytes() for t in again.fitted_.vae.state_dict().values()) == weights
try:  # a folder that the other does not see
    ss.ShiftVAE(**options).fit(X, checkpoint=state if rank == 0 else folder + "/elsewhere")
    refused = ""
except ShapeshiftError as error:
    refused = str(error)
told = {"digest": hashlib.sha256(weights).hexdigest(), "again": same, "refused": refused}
told["score"] = float(m.posterior(X).log_evidence.mean()) if rank == 0 else None
told |= {"says": says, "history": m.history_.columns, "rows": rows[:3]}
open(f"{folder}/{rank}.json", "w").write(json.dumps(told))
distributed.destroy_process_group()
"""


def torchrun(*command):
    """What two processes have printed; should they wait for each other, torchrun ends them."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([*start, *command], env=os.environ | {"OMP_NUM_THREADS": "1"}, **pipes) as process:
        try:
            said, _ = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            process.terminate()
            said, _ = process.communicate()
    assert process.returncode == 0, said


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What two processes say of one fit, each for itself."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "fit.py").write_text(TOGETHER.replace("{N}", str(N)).replace("{OPTIONS}", repr(OPTIONS)))
    np.save(folder / "x.npy", ss.synthetic.article(n=90, seed=3)[0].values[:, ::2])
    torchrun(str(folder / "fit.py"), str(folder))
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)], folder


def test_all_processes_end_with_the_same_weights_and_history(told):
    (one, two), _ = told
    assert one["digest"] == two["digest"]
    assert one["history"]["loss"] == two["history"]["loss"]
    assert one["history"]["val_loss"] == two["history"]["val_loss"]


def test_each_takes_its_half_of_a_batch(told):
    assert [one["rows"] for one in told[0]] == [[64, 64, 52]] * 2  # 360 of 400 in batches of 128


def test_together_they_are_as_good_as_one_within_the_spread_of_seeds(told):
    (one, _), _ = told
    X = ss.synthetic.article(n=N, seed=1)[0][:, ::2]
    alone = [ss.ShiftVAE(**OPTIONS, random_state=seed).fit(X) for seed in range(3)]
    scores = [m.posterior(X).log_evidence.mean() for m in alone]
    losses = [min(m.history_.columns["val_loss"]) for m in alone]
    trained = [m.history_.columns["loss"][-1] for m in alone]
    pairs = (
        (one["score"], scores),
        (min(one["history"]["val_loss"]), losses),
        (one["history"]["loss"][-1], trained),
    )
    for own, others in pairs:
        assert abs(own - np.mean(others)) < 3 * np.ptp(others)
    assert one["history"] != alone[0].history_.columns  # it did train otherwise


def test_only_the_first_writes_and_a_fit_together_goes_on_together(told):
    both, folder = told
    assert [path.name for path in (folder / "state").iterdir()] == ["stage-1.safetensors"]
    assert [one["again"] for one in both] == [True, True]
    with pytest.raises(ss.ShapeshiftError, match="the number of processes"):
        ss.ShiftVAE(**OPTIONS).fit(ss.synthetic.article(n=N, seed=1)[0][:, ::2], checkpoint=folder / "state")


def test_a_folder_that_one_does_not_see_is_refused(told):
    assert all("not every process" in one["refused"] for one in told[0][1:])


def test_the_command_line_fits_together_and_the_first_writes_and_speaks(told):
    (one, two), folder = told
    assert json.loads(one["says"][0][0])["run"] == str(folder / "run")
    assert (folder / "run" / "signals.csv").exists()
    assert not (folder / "run.checkpoint").exists()
    assert "complete" in one["says"][1][1]
    assert two["says"] == [["", ""], ["", ""]]


def test_shares_of_a_batch_are_equal_and_add_up():
    for n in (1, 2, 5, 128):
        for size in (1, 2, 3):
            parts = [Ranks(rank, size).rows(n) for rank in range(size)]
            assert sum(weight for _, weight in parts) == pytest.approx(1)
            taken = sorted(k for rows, _ in parts for k in range(n)[rows])
            assert taken == (sorted(list(range(n)) * size) if n < size else list(range(n)))
            if n >= size:
                lengths = [len(range(n)[rows]) for rows, _ in parts]
                assert max(lengths) - min(lengths) <= 1
                assert [weight for _, weight in parts] == [length / n for length in lengths]


def test_draws_differ_and_the_common_generator_does_not():
    common = [torch.Generator().manual_seed(0) for _ in range(2)]
    own = [Ranks(rank, 2).draws(g) for rank, g in enumerate(common)]
    assert torch.equal(common[0].get_state(), common[1].get_state())
    assert not torch.equal(torch.randn(3, generator=own[0]), torch.randn(3, generator=own[1]))
    alone = torch.Generator()
    assert ranks_here().draws(alone) is alone


def test_the_package_is_a_module_that_torchrun_can_start():
    done = subprocess.run([sys.executable, "-m", "shapeshift", "--version"], capture_output=True, text=True)
    assert done.stdout.strip() == ss.__version__
