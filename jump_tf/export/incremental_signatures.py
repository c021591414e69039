"""Signatures for sessions in progress, which take and return a state."""

import hashlib
import pathlib

import tensorflow as tf

from jump_tf import schema
from jump_tf.export.request_reader import SessionReader
from jump_tf.export.request_reader import after
from jump_tf.export.request_reader import few_rows
from jump_tf.export.request_reader import seconds_so_far
from jump_tf.export.request_reader import with_rows
from jump_tf.export.session_answers import SessionAnswers
from jump_tf.export.session_answers import SessionState
from jump_tf.models import jump_incremental
from jump_tf.models.jump import JUMP

_MODEL = schema.STATE_PREFIX + "model"
_PAGE = schema.STATE_PREFIX + "page"
_PAGE_DWELL = schema.STATE_PREFIX + "page_dwell_seconds"


class IncrementalSignatures:
    """Computes `start` and `step` of JUMP, which `Signatures` describes.

    A state consists of a fingerprint of the model, the clicks before the page
    on screen as `jump_incremental.Past` has them, that page, and its dwell
    where it is known.

    Args:
        model: a built model.
        vocabulary_file: raw ids, one a line.
        reader: of that vocabulary.
        answers: of that model.
        max_session_length: clicks that a state holds, the last ones.
    """

    def __init__(
        self,
        model: JUMP,
        vocabulary_file: str | pathlib.Path,
        reader: SessionReader,
        answers: SessionAnswers,
        max_session_length: int,
    ):
        self._model = model
        self._reader = reader
        self._answers = answers
        self._most = max_session_length - 1  # Before the page on screen.
        self._fingerprint = _fingerprint(model, vocabulary_file)

    def step_specs(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `step`, by name."""
        size = self._model.config.units
        slow = size if self._model.config.fast_slow else 0
        shapes = {
            schema.ITEM: ([None], tf.string),
            schema.LAST_PAGE_DWELL_SECONDS: ([None], tf.float32),
            schema.ELAPSED_SECONDS: ([None], tf.float32),
            _MODEL: ([None], tf.int64),
            _name("items"): ([None, None], tf.int32),
            _name("dwell_seconds"): ([None, None], tf.float32),
            _name("states"): ([None, None, size], tf.float32),
            _name("slow"): ([None, slow], tf.float32),
            _PAGE: ([None], tf.int32),
            _PAGE_DWELL: ([None], tf.float32),
        }
        return {
            name: tf.TensorSpec(shape, dtype, name)
            for name, (shape, dtype) in shapes.items()
        }

    def start(self, items, dwell_seconds, elapsed_seconds):
        """Returns the state after a whole session, and the answer."""
        elapsed = with_rows(schema.ELAPSED_SECONDS, elapsed_seconds, items)
        read = self._reader(items, dwell_seconds)
        before = tf.maximum(read.lengths - 1, 0)
        past = jump_incremental.past_of(
            self._model, read.items, read.dwell_seconds, before
        )
        return self._answer(
            past,
            tf.gather(read.items, before, axis=1, batch_dims=1),
            tf.gather(read.dwell_seconds, before, axis=1, batch_dims=1),
            elapsed,
        )

    def step(
        self, item, last_dwell_seconds, elapsed_seconds, state_model, **state
    ):
        """Returns the state after one more click, and the answer."""
        page, page_dwell = state[_PAGE], state[_PAGE_DWELL]
        past = jump_incremental.Past(
            *(state[_name(field)] for field in jump_incremental.Past._fields)
        )
        new = (page == schema.PAD_ID) & (past.lengths == 0)
        mine = tf.debugging.assert_equal(
            tf.reduce_all(
                (state_model == self._fingerprint) | (state_model == 0) & new
            ),
            True,
            f"`{_MODEL}` must be of a state of this version of the model",
        )
        item = after(tf.group(mine, few_rows(item)), item)
        page_dwell = tf.where(
            last_dwell_seconds >= 0.0, last_dwell_seconds, page_dwell
        )
        clicked = item != ""
        past = jump_incremental.append(
            self._model,
            past,
            tf.where(clicked, page, schema.PAD_ID),
            page_dwell,
        )
        return self._answer(
            jump_incremental.newest(past, self._most),
            tf.where(clicked, self._reader.ids(item), page),
            tf.where(clicked, schema.UNKNOWN_DWELL, page_dwell),
            elapsed_seconds,
        )

    def _answer(self, past, page, page_dwell, elapsed_seconds):
        now = jump_incremental.append(self._model, past, page, page_dwell)
        session_state = SessionState(
            features=jump_incremental.features(self._model, now),
            lengths=now.lengths,
            page=page,
            page_features=jump_incremental.features(self._model, past),
            elapsed_seconds=seconds_so_far(elapsed_seconds),
        )
        state = {
            _MODEL: tf.fill(tf.shape(page), self._fingerprint),
            _PAGE: page,
            _PAGE_DWELL: page_dwell,
            **{
                _name(field): tf.identity(value)
                for field, value in past._asdict().items()
            },
        }
        return {**self._answers(session_state), **state}


def _name(field: str) -> str:
    return schema.STATE_PREFIX + field


def _fingerprint(model: JUMP, vocabulary_file: str | pathlib.Path):
    """Returns a hash of the weights and the vocabulary."""
    digest = hashlib.blake2b(
        pathlib.Path(vocabulary_file).read_bytes(), digest_size=8
    )
    for weight in model.weights:
        digest.update(weight.numpy().tobytes())
    number = int.from_bytes(digest.digest(), "big", signed=True)
    return tf.constant(number, tf.int64)
