"""The models on Keras's other backend, in a process of its own."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from tests import backend_outputs


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs jax")
def test_jax_agrees_with_tensorflow(tmp_path):
    path = tmp_path / "jax.npz"
    subprocess.run(
        [sys.executable, "-m", "tests.backend_outputs", str(path)],
        check=True,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    )
    expected = backend_outputs.all_outputs()
    with np.load(path) as outputs:
        assert set(outputs) == set(expected)
        for name, value in outputs.items():
            np.testing.assert_allclose(
                value, expected[name], rtol=1e-5, atol=1e-5, err_msg=name
            )
