"""Align a batch of signals by one of the peers that know no other way; runs in the peers' environment.

usage: python _batch_worker.py IN.npz OUT.npz METHOD

IN holds ``x`` (P,), increasing and even, and ``signals`` (n, P). OUT gets ``shift`` (n,), axis units,
positive towards larger values, up to a constant, and the number ``seconds``.
"""

import sys
import time

import numpy as np


def hyperspy(x, signals):
    """HyperSpy's `estimate_shift1D`, as documented: against the first spectrum, to a fifth of a sample."""
    import hyperspy.api as hs

    hs.preferences.General.show_progressbar = False
    stack = hs.signals.Signal1D(signals)
    axis = stack.axes_manager.signal_axes[0]
    axis.scale, axis.offset = float(x[1] - x[0]), float(x[0])
    # it returns what has to be added to the axis of each spectrum
    return -np.asarray(stack.estimate_shift1D(show_progressbar=False))


def affinewarp(x, signals):
    """affinewarp's shift-only model; its lags are whole samples (Williams et al. 2020)."""
    from affinewarp import ShiftWarping

    model = ShiftWarping(maxlag=0.5, smoothness_reg_scale=0.0)
    model.fit(signals[:, :, None], iterations=20, verbose=False)
    return np.asarray(model.shifts, dtype=float) * (x[1] - x[0])


def scikit_fda(x, signals):
    """scikit-fda's least-squares shift registration (Ramsay & Silverman 2005, section 7.2)."""
    from skfda import FDataGrid
    from skfda.preprocessing.registration import LeastSquaresShiftRegistration

    model = LeastSquaresShiftRegistration(max_iter=20)
    model.fit_transform(FDataGrid(signals, x))
    return np.asarray(model.deltas_, dtype=float)


METHODS = {"hyperspy": hyperspy, "affinewarp": affinewarp, "scikit-fda": scikit_fda}


def main(source, target, method):
    """Read, align, write."""
    with np.load(source) as arrays:
        x, signals = arrays["x"], arrays["signals"]
    METHODS[method](x, signals[:20])  # imports and compilation do not count
    start = time.perf_counter()
    shift = METHODS[method](x, signals)
    np.savez(target, shift=shift, seconds=time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
