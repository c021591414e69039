"""The SavedModel in TensorFlow's C runtime, the one inside TF Serving."""

import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from jump_tf import schema

pytestmark = [
    pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc"),
]


def example(**features):
    kinds = {str: "bytes_list", float: "float_list", int: "int64_list"}
    made = tf.train.Example()
    for name, values in features.items():
        kind = kinds[type(values[0])]
        values = [x.encode() if isinstance(x, str) else x for x in values]
        getattr(made.features.feature[name], kind).value.extend(values)
    return made.SerializeToString()


# What any signature may be asked, by the name of its input.
INPUTS = {
    "items": np.array(
        [["item-3", "", "größe 10"], ["", "never\nseen", "item-5"]], object
    ),
    "dwell_seconds": np.float32([[12.0, 1.0, -1.0], [9.0, 700.0, 0.0]]),
    "elapsed_seconds": np.float32([30.0, 0.0]),
    "candidates": np.array([["item-1"], ["item-9"]], object),
    "times_seconds": np.float32([[1.0, 30.0], [5.0, 500.0]]),
    "k": np.int32([3, 2]),
    "exclude_seen": np.array([True, False]),
    "allow": np.array([["item-1", "item-3", "item-4"], ["", "", ""]], object),
    "deny": np.array([["item-4"], ["item-0"]], object),
    "examples": np.array(
        [
            example(items=["item-3", "item-1"], dwell_seconds=[12.0]),
            example(items=["item-5"], elapsed_seconds=[8.0]),
        ],
        object,
    ),
    "item": np.array(["item-7", ""], object),
    "last_dwell_seconds": np.float32([8.0, 45.0]),
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


def signature_defs(folder):
    """Of a version folder, those that answer a request."""
    saved = saved_model_pb2.SavedModel.FromString(
        (folder / "saved_model.pb").read_bytes()
    )
    return {
        name: signature
        for name, signature in saved.meta_graphs[0].signature_def.items()
        if signature.inputs
    }


def as_text(key, signature, inputs):
    """A request as the program reads it."""
    lines = [f"{key} {len(signature.outputs)} {len(signature.inputs)}"]
    lines += [info.name for info in signature.outputs.values()]
    for name, info in signature.inputs.items():
        array = inputs[name]
        sizes = " ".join(map(str, array.shape))
        lines.append(f"{info.name} {info.dtype} {array.ndim} {sizes}")
        if info.dtype == tf.string.as_datatype_enum:
            texts = [tf.compat.as_bytes(x).hex() for x in array.ravel()]
        elif info.dtype == tf.bool.as_datatype_enum:
            texts = [str(int(x)) for x in array.ravel()]
        else:
            texts = [str(x) for x in array.ravel()]
        lines.extend(texts)
    return "\n".join(lines) + "\n"


def check_same(printed, key, signature, expected):
    """Compares the lines that the program printed next with Python's answer."""
    for output in signature.outputs:
        values = [next(printed) for _ in range(expected[output].size)]
        label = f"{key}: {output}"
        if expected[output].dtype == object:
            found = [bytes.fromhex(value) for value in values]
            assert found == expected[output].ravel().tolist(), label
        else:
            np.testing.assert_allclose(
                np.float64(values),
                expected[output].ravel().astype(np.float64),
                1e-5,
                err_msg=label,
            )


def ask(loaded, key, signature, inputs):
    answer = loaded.signatures[key](
        **{name: tf.constant(inputs[name]) for name in signature.inputs}
    )
    return {name: tensor.numpy() for name, tensor in answer.items()}


@pytest.mark.exhaustive
def test_every_signature_answers_as_in_python(
    models_folder, in_python, program, name
):
    folder = models_folder / name / "7"
    signatures = signature_defs(folder)
    assert schema.SERVING_DEFAULT in signatures
    inputs = dict(INPUTS)
    if schema.START in signatures:  # A step goes on from a session's state.
        start = ask(
            in_python[name], schema.START, signatures[schema.START], inputs
        )
        states = {
            key: value
            for key, value in start.items()
            if key.startswith(schema.STATE_PREFIX)
        }
        assert states
        inputs |= states
    requests = [as_text(*each, inputs) for each in signatures.items()]
    process = subprocess.run(
        [str(program), str(folder)],
        input="".join(requests),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    printed = iter(process.stdout.splitlines())
    for key, signature in signatures.items():
        expected = ask(in_python[name], key, signature, inputs)
        check_same(printed, key, signature, expected)
    assert next(printed, None) is None


def test_no_python_is_linked(program):
    linked = subprocess.run(
        ["ldd", str(program)], capture_output=True, text=True, check=True
    )
    assert "libtensorflow_cc" in linked.stdout
    assert "libpython" not in linked.stdout
