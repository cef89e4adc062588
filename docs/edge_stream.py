"""Shift and shape of signals as they come: one signal a line on stdin, numbers between blanks or commas.

Needs numpy and onnxruntime, and the file that `shapeshift export` wrote:

    python edge_stream.py model.onnx < recorded.csv
"""

import json
import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
axis = json.loads(session.get_modelmeta().custom_metadata_map["axis"])
names = [output.name for output in session.get_outputs()]

for count, line in enumerate(sys.stdin, start=1):  # or a serial port, see docs/edge.md
    try:
        signal = np.array([line.replace(",", " ").split()], dtype=np.float32)
    except ValueError:  # a heading, half a line
        signal = np.empty((1, 0))
    if signal.shape[1] != axis["samples"]:
        print(f"line {count}: needed {axis['samples']} numbers", file=sys.stderr)
        continue
    found = dict(zip(names, session.run(None, {"signals": signal}), strict=True))
    shift, sd, shape = found["shift"][0], found["shift_sd"][0], " ".join(f"{z:.3f}" for z in found["z"][0])
    doubt = "" if found["trust"][0] else "  not to be trusted"
    print(f"shift {shift:.6g} +- {sd:.2g} {axis['units']}  shape {shape}{doubt}", flush=True)
