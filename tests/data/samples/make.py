"""Make `nsid.h5` and `usid.h5` with the formats' own libraries (sidpy, pyNSID, pyUSID).

Needed again only if these libraries change what they write: `python make.py` in this folder.
"""

import platform

platform.platform = lambda *_: "any"  # says nothing about the measurement
import h5py  # noqa: E402
import numpy as np  # noqa: E402
import sidpy  # noqa: E402

np.prod = np.prod  # pyUSID 0.0.12 still calls it so
import pyNSID  # noqa: E402
from pyUSID.io.anc_build_utils import Dimension  # noqa: E402
from pyUSID.io.hdf_utils import write_main_dataset  # noqa: E402

X = np.arange(10.0, 14.0) / 4
Y = np.array([0.0, 0.5, 1.5])
BIAS = np.linspace(-3, 3, 16)
VALUES = np.random.default_rng(0).normal(size=(3, 4, 16)).astype("f4")


def made() -> sidpy.Dataset:
    """A map of curves."""
    data = sidpy.Dataset.from_array(VALUES, title="curves")
    data.data_type, data.units, data.quantity = "spectral_image", "nA", "current"
    data.modality, data.source = "AFM", "simulation"
    axes = [("y", Y, "nm", "spatial"), ("x", X, "nm", "spatial"), ("bias", BIAS, "V", "spectral")]
    for k, (name, values, units, kind) in enumerate(axes):
        data.set_dimension(k, sidpy.Dimension(values, name, name, units, dimension_type=kind))
    data.metadata = {"tip": "Pt", "temperature": 4.2}
    return data


with h5py.File("nsid.h5", "w") as file:
    group = file.create_group("Measurement_000/Channel_000")
    pyNSID.hdf_io.write_nsid_dataset(made(), group, main_data_name="curves")
with h5py.File("usid.h5", "w") as file:
    group = file.create_group("Measurement_000/Channel_000")
    places = [Dimension("X", "nm", X), Dimension("Y", "nm", Y)]
    spectral = [Dimension("Bias", "V", BIAS)]
    write_main_dataset(group, VALUES.reshape(12, 16), "Raw_Data", "Current", "nA", places, spectral)
