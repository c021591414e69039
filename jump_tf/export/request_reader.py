"""Turns raw sessions of a request into the inputs of models."""

import pathlib
from typing import NamedTuple

import tensorflow as tf

from jump_tf import schema

# What one request may make a graph hold: a few bytes can ask for much more.
MOST_ROWS = 2**11
MOST_CLICKS = 2**16  # Rows times the clicks that are read of the longest.
MOST_ITEMS = 2**17  # Rows times the items whose dwell is asked for.
MOST_NUMBERS = 2**20  # The same, times the moments of survival.


class Read(NamedTuple):
    """Sessions without gaps, right-padded to `[B, T]`, T at least 1.

    Attributes:
        items: ids.
        dwell_seconds: negative where unknown.
        lengths: `[B]` clicks.
    """

    items: tf.Tensor
    dwell_seconds: tf.Tensor
    lengths: tf.Tensor


class SessionReader:
    """Reads raw sessions by the rules that `Signatures` lists.

    Args:
        vocabulary_file: raw ids, one a line, from `FIRST_ITEM_ID` on.
        max_session_length: clicks that are read, the last ones.
    """

    def __init__(
        self, vocabulary_file: str | pathlib.Path, max_session_length: int
    ):
        self._max_session_length = max_session_length
        self._lines_of_items = lookup_table(
            vocabulary_file, items_to_lines=True
        )
        self._items_of_lines = lookup_table(
            vocabulary_file, items_to_lines=False
        )

    @property
    def tables(self) -> list:
        """The lookup tables, which a SavedModel does not find by itself."""
        return [self._lines_of_items, self._items_of_lines]

    def __call__(self, items, dwell_seconds) -> Read:
        """Returns the sessions of `[B, T]` items and dwells.

        Args:
            items: raw ids, "" where there is no click.
            dwell_seconds: negative or not a number where unknown.
        """
        same = tf.debugging.assert_equal(
            tf.shape(items),
            tf.shape(dwell_seconds),
            "`items` and `dwell_seconds` must have the same shape",
        )
        dwell_seconds = after(same, dwell_seconds)
        items = after(few_rows(items), items)
        # One column more, as nothing can be gathered from none.
        items = tf.pad(items, [[0, 0], [0, 1]])
        dwell = tf.pad(dwell_seconds, [[0, 0], [0, 1]])
        clicks = items != ""
        number = tf.math.count_nonzero(clicks, 1, dtype=tf.int32)
        lengths = tf.minimum(number, self._max_session_length)
        # A recurrent layer cannot run over zero steps.
        longest = tf.reduce_max(tf.concat([lengths, [1]], 0))
        check = at_most(
            MOST_CLICKS,
            "rows x clicks of the longest session",
            tf.shape(items)[0],
            longest,
        )
        step = tf.range(after(check, longest))
        in_order = tf.argsort(tf.cast(~clicks, tf.int32), 1, stable=True)
        columns = step + (number - lengths)[:, tf.newaxis]
        at = tf.gather(in_order, columns, axis=1, batch_dims=1)
        items = tf.gather(items, at, axis=1, batch_dims=1)
        dwell = tf.gather(dwell, at, axis=1, batch_dims=1)
        real = step < lengths[:, tf.newaxis]
        dwell = tf.where(dwell >= 0.0, dwell, schema.UNKNOWN_DWELL)
        return Read(
            tf.where(real, self.ids(items), schema.PAD_ID),
            tf.where(real, dwell, 0.0),
            lengths,
        )

    def ids(self, items):
        """Returns the ids of raw ids; `OOV_ID` where they are unknown."""
        lines = self._lines_of_items.lookup(items)
        return tf.cast(lines, tf.int32) + schema.FIRST_ITEM_ID

    def names(self, ids):
        """Returns raw ids; "" for padding and for the unknown item."""
        lines = tf.cast(ids, tf.int64) - schema.FIRST_ITEM_ID
        return self._items_of_lines.lookup(lines)


def seconds_so_far(elapsed_seconds):
    """Returns the seconds spent on the page on screen; 0 where unknown."""
    known = (elapsed_seconds > 0.0) & tf.math.is_finite(elapsed_seconds)
    return tf.where(known, elapsed_seconds, 0.0)


def lookup_table(vocabulary_file, items_to_lines: bool):
    """Returns a table from a vocabulary's texts to lines, or back.

    Args:
        vocabulary_file: texts, one a line; lines count from 0.
        items_to_lines: whether keys are texts.
    """
    text = (tf.string, tf.lookup.TextFileIndex.WHOLE_LINE)
    line = (tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
    key, value = (text, line) if items_to_lines else (line, text)
    unknown = schema.OOV_ID - schema.FIRST_ITEM_ID if items_to_lines else ""
    initializer = tf.lookup.TextFileInitializer(
        str(vocabulary_file), *key, *value
    )
    return tf.lookup.StaticHashTable(initializer, unknown)


def with_rows(name, tensor, items):
    """Returns the tensor after a check that its rows are those of `items`."""
    check = tf.debugging.assert_equal(
        tf.shape(tensor)[0],
        tf.shape(items)[0],
        f"`{name}` must have as many rows as `items`",
    )
    return after(check, tensor)


def few_rows(tensor):
    """A check that a request has not too many rows."""
    return at_most(MOST_ROWS, "rows", tf.shape(tensor)[0])


def at_most(most, what, *sizes):
    """A check that the product of sizes is not more than a request may ask.

    Args:
        most: the bound.
        what: the sizes, in words.
        *sizes: integer scalars, of the request's shapes.
    """
    product = tf.reduce_prod(tf.cast(tf.stack(sizes), tf.float64))
    return tf.debugging.assert_less_equal(
        product,
        tf.constant(most, tf.float64),
        f"A request must ask for at most {most} {what}",
    )


def after(check, tensor):
    """Returns the tensor; operations that read it run after the check.

    Otherwise a wrong input may fail elsewhere, with an unrelated message.
    """
    with tf.control_dependencies([check]):
        return tf.identity(tensor)
