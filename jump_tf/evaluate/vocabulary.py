"""Whether a model can be asked about a data folder."""

import pathlib
from typing import Any

from jump_tf import schema


def check(model: Any, data: str | pathlib.Path, known: int) -> None:
    """Refuses a data folder of more ids than the model has.

    A model may have more: a warm start keeps ids that the log no longer has.

    Args:
        model: with `vocabulary_size`.
        data: the data folder.
        known: how many items, or features, its vocabulary has.

    Raises:
        InputError: the model lacks some of its ids.
    """
    size = schema.FIRST_ITEM_ID + known
    if model.vocabulary_size < size:
        raise schema.InputError(
            "The model must be trained on the vocabulary of the data folder. "
            f"Received: {data} with {size} ids, a model with "
            f"{model.vocabulary_size}"
        )
