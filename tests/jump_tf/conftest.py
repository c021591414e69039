"""Fixtures of the tests that train."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_pictures():
    """Drawing takes a quarter of a small training.

    A test that looks at TensorBoard's images asks for them, see `pictures`.
    """
    from tests import pictures

    with pictures.left_out():
        yield
