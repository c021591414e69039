"""The signatures of a served model of lists, as plain tf.functions."""

import pathlib

import tensorflow as tf

from jump_tf import schema
from jump_tf.config.list_models import CONCATENATE
from jump_tf.export import request_reader
from jump_tf.models.list_model import CLICK
from jump_tf.models.list_model import CONVERSION
from jump_tf.models.list_model import ListModel

_ITEMS = [None, None]
_SPECS = {
    schema.SERVING_DEFAULT: {
        schema.FEATURES: tf.TensorSpec(
            [*_ITEMS, None], tf.string, schema.FEATURES
        ),
        **{
            name: tf.TensorSpec(shape, tf.float32, name)
            for name, shape in (
                (schema.FEATURE_VALUES, [*_ITEMS, None]),
                (schema.OFFSET_SECONDS, _ITEMS),
                (schema.CLICKED, _ITEMS),
            )
        },
    },
    schema.EXAMPLES: {
        schema.EXAMPLES: tf.TensorSpec([None], tf.string, schema.EXAMPLES)
    },
}
_OF_AN_ITEM = [tf.io.RaggedFeature.RowLengths(schema.FEATURES_LENGTH)]
_EXAMPLE = {
    schema.FEATURES: tf.io.RaggedFeature(tf.string, partitions=_OF_AN_ITEM),
    schema.FEATURE_VALUES: tf.io.RaggedFeature(
        tf.float32, partitions=_OF_AN_ITEM
    ),
    schema.OFFSET_SECONDS: tf.io.RaggedFeature(tf.float32),
    schema.CLICKED: tf.io.RaggedFeature(tf.float32),
}


class ListSignatures:
    """Scores the items of lists, given the clicks that are known.

    `serving_default` takes

    * `features` `[B, M, K]`, texts `field=value` as in the data folder's
      vocabulary; "" is none, and an item without features is no item, wherever
      it stands. Where a model has fields, K is their number, in their order.
      M may be any: nothing is cut, as it is in training.
    * `feature_values` `[B, M, K]`, what each feature counts: 1 for a category.
    * `offset_seconds` `[B, M]` since the list's first item was shown.
    * `clicked` `[B, M]`: 1 or 0, negative or NaN where it is not known. A click
      that is not known is replaced as `model.feedback` of the run says, so a
      list may be scored whole before anybody has seen it, or again after each
      click. Nothing but the clicks on earlier items reaches an item.

    With `model.objective` "survival" what follows are hazards, made to order
    items. Returned are, `[B, M]` each and 0 where there is no item, the
    `click_probability`, the `conversion_probability` of an item that is
    clicked, and the `click_conversion_probability`, which is their product.

    `examples` takes `examples` `[B]`, serialized tf.Examples with `features`
    of all items end to end and `features_length` of each; `feature_values`,
    `offset_seconds` and `clicked` may be left out, or end early.

    Args:
        model: a built model.
        vocabulary_file: feature texts, one a line, from `FIRST_ITEM_ID` on.
    """

    def __init__(self, model: ListModel, vocabulary_file: str | pathlib.Path):
        self._model = model
        self._lines_of_features = request_reader.lookup_table(
            vocabulary_file, items_to_lines=True
        )

    @property
    def tables(self) -> list:
        """The lookup tables, which a SavedModel does not find by itself."""
        return [self._lines_of_features]

    def functions(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Returns the traced signatures by name."""
        answers = {
            schema.SERVING_DEFAULT: self._score,
            schema.EXAMPLES: self._score_examples,
        }
        return {
            name: tf.function(answer, autograph=False).get_concrete_function(
                **_SPECS[name]
            )
            for name, answer in answers.items()
        }

    def _score_examples(self, examples):
        columns = tf.io.parse_example(examples, _EXAMPLE)
        features = columns[schema.FEATURES].to_tensor("")
        shape = tf.shape(features, tf.int64)
        return self._score(
            features,
            columns[schema.FEATURE_VALUES].to_tensor(1.0, shape=shape),
            columns[schema.OFFSET_SECONDS].to_tensor(0.0, shape=shape[:2]),
            columns[schema.CLICKED].to_tensor(
                schema.UNKNOWN_FEEDBACK, shape=shape[:2]
            ),
        )

    def _score(self, features, feature_values, offset_seconds, clicked):
        features = self._checked(
            features, feature_values, offset_seconds, clicked
        )
        if self._model.config.combine == CONCATENATE:
            features, feature_values = (
                _widened(tensor, filler, self._model.config.num_fields)
                for tensor, filler in ((features, ""), (feature_values, 1.0))
            )
        shown = tf.reduce_any(features != "", axis=2)
        ids = self._ids(features)
        logits = self._model(
            {
                schema.FEATURES: _left(ids, shown),
                schema.FEATURE_VALUES: _left(feature_values, shown),
                schema.OFFSET_SECONDS: _left(offset_seconds, shown),
                schema.CLICKED: _left(clicked, shown),
            },
            training=False,
        )
        click, conversion = (
            _back(tf.sigmoid(tf.cast(logits[name], tf.float32)), shown)
            for name in (CLICK, CONVERSION)
        )
        return {
            schema.CLICK_PROBABILITY: click,
            schema.CONVERSION_PROBABILITY: conversion,
            schema.CLICK_CONVERSION_PROBABILITY: click * conversion,
        }

    def _checked(self, features, feature_values, offset_seconds, clicked):
        """Returns the features after checks that all shapes agree."""
        checks = [
            tf.debugging.assert_equal(
                tf.shape(features)[: tensor.shape.rank],
                tf.shape(tensor),
                f"`{name}` must have the shape of `features`",
            )
            for name, tensor in (
                (schema.FEATURE_VALUES, feature_values),
                (schema.OFFSET_SECONDS, offset_seconds),
                (schema.CLICKED, clicked),
            )
        ]
        config = self._model.config
        if config.combine == CONCATENATE:
            number, found = config.num_fields, tf.shape(features)[2]
            checks.append(
                tf.debugging.assert_equal(
                    tf.where(tf.size(features) > 0, found, number),
                    number,
                    f"`features` must have one of each of {number} fields",
                )
            )
        for check in checks:
            features = request_reader.after(check, features)
        return features

    def _ids(self, features):
        lines = self._lines_of_features.lookup(features)
        ids = tf.cast(lines, tf.int32) + schema.FIRST_ITEM_ID
        if self._model.config.combine == CONCATENATE:
            return ids  # A field without a value is one that is not known.
        return tf.where(features == "", schema.PAD_ID, ids)


def _widened(tensor, filler, fields):
    """Gives a batch without items the columns of all fields."""
    batch, items, found = tf.unstack(tf.shape(tensor))
    missing = tf.where(tf.size(tensor) > 0, 0, fields - found)
    return tf.concat([tensor, tf.fill([batch, items, missing], filler)], 2)


def _left(tensor, shown):
    """Moves the rows of shown items to the left; zeros follow them."""
    rows = tf.ragged.boolean_mask(tensor, shown)
    # A recurrent layer cannot run over zero steps.
    steps = tf.maximum(
        tf.reduce_max(tf.concat([rows.row_lengths(), [1]], 0)), 1
    )
    inner = tf.shape(tensor, tf.int64)[2:]
    shape = tf.concat([tf.stack([rows.nrows(), steps]), inner], 0)
    return rows.to_tensor(0, shape=shape)


def _back(tensor, shown):
    """Moves values back to the places of shown items; others get 0."""
    place = tf.cumsum(tf.cast(shown, tf.int32), axis=1) - 1
    values = tf.gather(tensor, tf.maximum(place, 0), axis=1, batch_dims=1)
    return tf.where(shown, values, 0.0)
