import struct
import sys
import zlib

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.evaluate.sessions import figures as session_figures
from jump_tf.reporting import figures as reporting_figures

pytest.importorskip("matplotlib")

CALIBRATION = {
    "transform_histogram": [0.3, 0.2, 0.1, 0.4],
    "seconds": [10, 60, 600],
    "predicted_survival": [0.9, 0.5, 0.1],
    "observed_survival": [0.8, 0.5, 0.2],
}
ATTENTION = [
    {
        "items": list("abcd")[:size],
        "dwell_seconds": [3.0, -1.0, 250.5, 7][:size],
        "weights": np.tril(np.full((size, size), 1 / size)).tolist(),
    }
    for size in (2, 4)
]
HISTORY = [
    {"epoch": 1, "loss": 3.0, "val_recall_at_20": 0.1},
    {"epoch": 2, "loss": 2.0, "val_recall_at_20": 0.2},
]


def size_and_colours(png):
    """Width and height in pixels, and how many different bytes it holds."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    start = png.index(b"IDAT")
    (length,) = struct.unpack(">I", png[start - 4 : start])
    pixels = zlib.decompressobj().decompress(
        png[start + 4 : start + 4 + length]
    )
    return width, height, len(set(pixels))


@pytest.mark.parametrize(
    ("draw", "given", "panels"),
    [
        (session_figures.dwell_calibration, CALIBRATION, 3),
        (session_figures.attention, ATTENTION, 2),
        (reporting_figures.training_curves, HISTORY, 2),
        (reporting_figures.training_curves, [{"epoch": 1, "loss": None}], 1),
    ],
)
def test_draws_a_panel_each(draw, given, panels):
    width, height, colours = size_and_colours(draw(given))
    assert width == pytest.approx(panels * 408, abs=2)
    assert height > 300
    assert colours > 10


def test_long_sessions_are_cut():
    long = {
        "items": ["a"] * 90,
        "dwell_seconds": [1.0] * 90,
        "weights": np.eye(90).tolist(),
    }
    assert size_and_colours(session_figures.attention([long]))[0] > 300


def test_without_matplotlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(schema.InputError, match=r"pip install jump-tf\[report"):
        reporting_figures.training_curves(HISTORY)
