"""Lists of shown items, as the signatures of their models take them."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from jump_tf import schema
from serving.client import client


@dataclasses.dataclass(frozen=True)
class ShownItems:
    """What a visitor is shown, and what is known of the clicks so far.

    Attributes:
        features: of each item its features, texts `field=value`.
        clicked: of the first items, 1 or 0; negative, NaN or left out on the
            right where nobody knows yet.
        offset_seconds: of the first items, since the first was shown; 0 where
            left out.
        feature_values: what each feature counts, or nothing where all count 1.
    """

    features: Sequence[Sequence[str]]
    clicked: Sequence[float] = ()
    offset_seconds: Sequence[float] = ()
    feature_values: Sequence[Sequence[float]] = ()

    def __post_init__(self):
        if not all(any(item) for item in self.features):
            raise schema.InputError(
                "Every item must have a feature. "
                f"Received: features={self.features}"
            )
        for name in ("clicked", "offset_seconds"):
            if len(getattr(self, name)) > len(self.features):
                raise schema.InputError(
                    f"`{name}` must not be longer than the list. Received: "
                    f"{len(getattr(self, name))} for {len(self.features)} items"
                )
        values = [len(row) for row in self.feature_values]
        if values and values != [len(row) for row in self.features]:
            raise schema.InputError(
                "`feature_values` must have the shape of `features`, or be "
                f"left out. Received: {self.feature_values}"
            )


@dataclasses.dataclass(frozen=True)
class Score:
    """What becomes of a shown item.

    Attributes:
        click_probability: pCTR.
        conversion_probability: of a conversion, if it is clicked.
        click_conversion_probability: pCTCVR, the product of both.
    """

    click_probability: float
    conversion_probability: float
    click_conversion_probability: float


class ListClient(client.Client):
    """Asks one model of lists, as `client.Client` asks one of sessions."""

    def score(self, lists: Sequence[ShownItems]) -> list[list[Score]]:
        """Returns for each list a score of each item, in one call."""
        outputs = self.predict(schema.SERVING_DEFAULT, to_arrays(lists))
        columns = [outputs[field.name] for field in dataclasses.fields(Score)]
        return [
            [
                Score(*(float(column[row, item]) for column in columns))
                for item in range(len(shown.features))
            ]
            for row, shown in enumerate(lists)
        ]


def to_arrays(lists: Sequence[ShownItems]) -> dict[str, np.ndarray]:
    """Returns the inputs of `serving_default` for a batch of lists."""
    items = max((len(shown.features) for shown in lists), default=0)
    width = max(
        (len(item) for shown in lists for item in shown.features), default=0
    )
    features = np.full((len(lists), items, width), "", object)
    values = np.ones(features.shape, np.float32)
    clicked = np.full(features.shape[:2], schema.UNKNOWN_FEEDBACK, np.float32)
    offsets = np.zeros(features.shape[:2], np.float32)
    for row, shown in enumerate(lists):
        clicked[row, : len(shown.clicked)] = shown.clicked
        offsets[row, : len(shown.offset_seconds)] = shown.offset_seconds
        for column, item in enumerate(shown.features):
            features[row, column, : len(item)] = item
        for column, numbers in enumerate(shown.feature_values):
            values[row, column, : len(numbers)] = numbers
    return {
        schema.FEATURES: features,
        schema.FEATURE_VALUES: values,
        schema.CLICKED: clicked,
        schema.OFFSET_SECONDS: offsets,
    }


def to_example(shown: ShownItems) -> bytes:
    """Returns a list as the signature `examples` takes it."""
    lengths = [len(item) for item in shown.features]
    values = [x for row in shown.feature_values for x in row]
    feature = {
        schema.FEATURES: tf.train.Feature(
            bytes_list=tf.train.BytesList(
                value=[x.encode() for item in shown.features for x in item]
            )
        ),
        schema.FEATURES_LENGTH: tf.train.Feature(
            int64_list=tf.train.Int64List(value=lengths)
        ),
        schema.FEATURE_VALUES: _floats(values or [1.0] * sum(lengths)),
        schema.OFFSET_SECONDS: _floats(shown.offset_seconds),
        schema.CLICKED: _floats(shown.clicked),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


def _floats(values) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
