"""The units that HEROES' cells are made of, by their names."""

from jump_tf.layers.gated_unit import GatedUnit
from jump_tf.layers.hawkes_unit import HawkesUnit
from jump_tf.layers.lstm_unit import LSTMUnit

UNITS: dict[str, type[GatedUnit]] = {"hawkes": HawkesUnit, "lstm": LSTMUnit}


def unit_class(name: str) -> type[GatedUnit]:
    """The class of a unit: "hawkes" or "lstm"; others are refused."""
    if name not in UNITS:
        raise ValueError(
            f"`unit` must be one of {tuple(UNITS)}. Received: unit={name}"
        )
    return UNITS[name]
