"""The SavedModel in TensorFlow's C runtime, the one inside TF Serving."""

import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc"),
]
ITEMS = [["item-3", "", "größe 10"], ["", "never seen", "item-5"]]
CLICKS = {
    "items": np.array(ITEMS, object),
    "dwell_seconds": np.float32([[12.0, 1.0, -1.0], [9.0, 700.0, 0.0]]),
}
INPUTS = {
    "serving_default": {**CLICKS, "elapsed_seconds": np.float32([30.0, 0.0])},
    "dwell": {
        **CLICKS,
        "candidates": np.array([["item-1"], ["item-9"]], object),
        "times_seconds": np.float32([[1.0, 30.0], [5.0, 500.0]]),
    },
}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    source = pathlib.Path(__file__).with_name("run_saved_model.c")
    program = tmp_path_factory.mktemp("c") / "run_saved_model"
    wheel = pathlib.Path(tf.__file__).parent
    subprocess.run(
        [
            "gcc",
            "-Wall",
            "-Werror",
            str(source),
            f"-I{wheel / 'include'}",
            f"-L{wheel}",
            "-l:libtensorflow_cc.so.2",
            "-l:libtensorflow_framework.so.2",
            f"-Wl,-rpath,{wheel}",
            "-o",
            str(program),
        ],
        check=True,
    )
    return program


def operation(info):
    return info.name.split(":")[0]


def as_text(signature, inputs):
    lines = []
    for name, array in inputs.items():
        kind = "s" if array.dtype == object else "f"
        sizes = " ".join(map(str, array.shape))
        feed = operation(signature.inputs[name])
        lines.append(f"{feed} {kind} {array.ndim} {sizes}")
        lines.extend(map(str, array.ravel()))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("key", list(INPUTS))
def test_answers_are_those_of_python(served, models_folder, program, name, key):
    signature = served[name].signature_defs[key]
    folder = models_folder / name / "7"
    process = subprocess.run(
        [
            str(program),
            str(folder),
            *(info.name for info in signature.outputs.values()),
        ],
        input=as_text(signature, INPUTS[key]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    printed = iter(process.stdout.splitlines())
    python = tf.saved_model.load(str(folder)).signatures[key](
        **{name: tf.constant(value) for name, value in INPUTS[key].items()}
    )
    for output in signature.outputs:
        expected = python[output].numpy()
        values = [next(printed) for _ in range(expected.size)]
        if expected.dtype == object:
            assert values == [x.decode() for x in expected.ravel()]
        else:
            np.testing.assert_allclose(
                np.float32(values), expected.ravel(), 1e-5, err_msg=output
            )
    assert next(printed, None) is None


def test_no_python_is_linked(program):
    linked = subprocess.run(
        ["ldd", str(program)], capture_output=True, text=True, check=True
    )
    assert "libtensorflow_cc" in linked.stdout
    assert "libpython" not in linked.stdout
