"""Tiny models: of JUMP both kinds, and one or more of every architecture.

`OPTIONS` are for the tests of what is exported and served. `ARCHITECTURES` are
for the laws that every model keeps: a new one joins them by one entry.
"""

import numpy as np

from jump_tf import schema
from jump_tf.data.recent_log import RecentClicks
from jump_tf.models.atrp import ATRP
from jump_tf.models.dtgru import DTGRU
from jump_tf.models.gru4rec import GRU4Rec
from jump_tf.models.heroes_sessions import HeroesSessions
from jump_tf.models.jump import JUMP
from jump_tf.models.narm import NARM
from jump_tf.models.nsr import NSR
from jump_tf.models.rmtpp import RMTPP
from jump_tf.models.sasrec import SASRec

UNITS = 6
VOCABULARY = [f"item-{number}" for number in range(9)] + ["größe 10"]
OPTIONS = {
    "jump": {"initial_log_dwell": 3.0},
    "shared": {
        "dwell_head": "shared",
        "dwell_history": True,
        "dwell_scale": None,
        "censoring": "followed",
        "end_weight": 0.1,
        "click_scale": 12.0,
        "item_bias": True,
        "learned_start": True,
        "residual": True,
        "click_residual": True,
        "pointer_clicks": 3,
        "recent_transitions": 3,
        "recent_popular": 2,
        "recent_entries": 8,
        "recent_periods": 3,
        "row_spacing": "log",
        "tie_inputs": False,
        "use_bias": True,
    },
}
# What any encoder can be given, see `PointingModel`, and a dwell head to learn.
PARTS = {
    name: OPTIONS["shared"][name]
    for name in (
        *("dwell_history", "dwell_scale", "censoring", "end_weight"),
        *("click_residual", "pointer_clicks", "recent_transitions"),
        *("recent_popular", "recent_entries", "recent_periods"),
    )
} | {"dwell_weight": 0.5}
# Transitions 2 -> 5, 9; 3 -> 5, 5, 8; 4 -> 8 and 9 -> 4, 6.
LOG = RecentClicks(
    starts=np.array([0, 0, 0, 2, 5, 6, 6, 6, 6, 6, 8, 8, 8]),
    followers=np.array([5, 9, 5, 5, 8, 8, 4, 6]),
    minutes=np.array([3, 40, 1, 9, 9, 5, 20, 44]),
    popular_ids=np.array([[0, 0], [5, 8], [6, 5]]),
    log_shares=np.float32([[-10, -10], [-1.0, -2.0], [-0.5, -1.5]]),
    origin_minute=1000,
    end_minute=45,
    period_minutes=15,
)
# Name -> class and options; of one architecture as many as have own weights.
ARCHITECTURES = {
    **{name: (JUMP, options) for name, options in OPTIONS.items()},
    "gru4rec": (GRU4Rec, {}),
    "gru4rec with parts": (GRU4Rec, PARTS),
    "gru": (GRU4Rec, {"tie_items": False, "item_bias": True}),
    "narm": (NARM, {}),
    "dtgru": (DTGRU, {}),
    "dtgru sum": (DTGRU, {"dwell_join": "sum"}),
    "dtgru scalar": (DTGRU, {"dwell_join": "scalar"}),
    "rmtpp": (RMTPP, {"click_scale": 9.0, "learned_start": True}),
    "atrp": (ATRP, {}),
    "nsr": (NSR, {"bins": 5}),
    "sasrec": (SASRec, {"heads": 2, "feed_forward_ratio": 3}),
    "esasrec": (SASRec, {"block": "ligr", "heads": 2}),
    "sasrec with parts": (SASRec, {"heads": 3, "blocks": 1, **PARTS}),
    "heroes": (
        HeroesSessions,
        {
            "dwell_head": "shared",
            "censoring": "followed",
            "satisfied_seconds": 1.0,
        },
    ),
}


def make_model(options, seed=3, kind=JUMP):
    """A model in which every weight matters."""
    random = np.random.default_rng(seed)
    model = kind(
        vocabulary_size=len(VOCABULARY) + schema.FIRST_ITEM_ID,
        units=UNITS,
        **options,
    )
    model.build()
    for weight in model.trainable_weights:
        noise = 0.1 * random.normal(size=weight.shape)
        weight.assign(weight + noise.astype(np.float32))
    if getattr(model.config, "recent_transitions", 0):
        model.recent_transitions.set_log(LOG)
    if kind is JUMP:
        normalization = model.click_embedding.normalization
        normalization.moving_mean.assign(random.normal(size=UNITS))
        normalization.moving_variance.assign(
            random.uniform(0.5, 2.0, size=UNITS)
        )
    return model
