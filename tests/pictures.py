"""Whether trainings draw images for TensorBoard."""

import contextlib

import pytest

from jump_tf.evaluate.sessions.validation_summaries import ImageSummaries

_BEGIN = ImageSummaries.on_train_begin


def left_out():
    """While in this context, no training draws."""
    return _with(lambda self, logs=None: None)


def drawn():
    """While in this context, trainings draw as they do for users."""
    return _with(_BEGIN)


@contextlib.contextmanager
def _with(begin):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageSummaries, "on_train_begin", begin)
        yield
