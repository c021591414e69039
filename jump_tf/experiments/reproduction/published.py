"""The numbers that the paper prints, to stand beside ours, and a few others.

Source: "JUMP: A Joint Predictor for User Click and Dwell Time", IJCAI 2018,
tables 1 to 3. Its figures have no numbers. `OTHERS` are protocols of other
authors, to check the whole of preparing, training and judging by.
"""

RECSYS15 = "RecSys15"
CIKM16 = "CIKM16"
REDDIT = "REDDIT"
DATA = (RECSYS15, CIKM16, REDDIT)

STATISTICS = {
    RECSYS15: {
        "items": 37_961,
        "clicks": 31_710_143,
        "train_sessions": 6_385_771,
        "test_sessions": 1_596_442,
        "average_length": 3.972,
        "max_dwell_seconds": 6_200,
    },
    CIKM16: {
        "items": 35_490,
        "clicks": 593_708,
        "train_sessions": 157_038,
        "test_sessions": 39_259,
        "average_length": 3.024,
        "max_dwell_seconds": 3_900,
    },
    REDDIT: {
        "items": 16_430,
        "clicks": 3_304_642,
        "train_sessions": 808_489,
        "test_sessions": 202_123,
        "average_length": 3.264,
        "max_dwell_seconds": 3_600,
    },
}

CLICK_METRICS = ("recall_at_20", "mrr_at_20", "ndcg_at_20")
CLICKS = {
    "GRU4Rec": {
        RECSYS15: (0.6020, 0.2473, 0.3267),
        CIKM16: (0.4728, 0.1258, 0.2020),
        REDDIT: (0.7433, 0.5988, 0.6144),
    },
    "IGRU": {
        RECSYS15: (0.6905, 0.2955, 0.3843),
        CIKM16: (0.5467, 0.1502, 0.2371),
        REDDIT: (0.8257, 0.7011, 0.7355),
    },
    "NARM": {
        RECSYS15: (0.6907, 0.2969, 0.3845),
        CIKM16: (0.5694, 0.1902, 0.2853),
        REDDIT: (0.8034, 0.6955, 0.7122),
    },
    "DTGRU": {
        RECSYS15: (0.6577, 0.3015, 0.3899),
        CIKM16: (0.3755, 0.1344, 0.1877),
        REDDIT: (0.7833, 0.6544, 0.6984),
    },
    "ATRP": {
        RECSYS15: (0.6717, 0.2495, 0.3275),
        CIKM16: (0.3666, 0.1331, 0.1966),
        REDDIT: (0.8131, 0.6406, 0.6811),
    },
    "RMTPP": {
        RECSYS15: (0.6716, 0.3035, 0.3941),
        CIKM16: (0.5674, 0.1786, 0.2603),
        REDDIT: (0.8143, 0.7037, 0.7198),
    },
    "NSR": {
        RECSYS15: (0.6691, 0.2835, 0.3715),
        CIKM16: (0.5235, 0.1554, 0.2365),
        REDDIT: (0.8235, 0.7029, 0.7311),
    },
    "JUMP": {
        RECSYS15: (0.7168, 0.3238, 0.4120),
        CIKM16: (0.6046, 0.2080, 0.3049),
        REDDIT: (0.8434, 0.7241, 0.7524),
    },
}

DWELL_MAE_SECONDS = {
    "ATRP": {RECSYS15: 95.23, CIKM16: 229.84, REDDIT: 271.8},
    "RMTPP": {RECSYS15: 289.0, CIKM16: 290.7, REDDIT: 302.4},
    "NSR": {RECSYS15: 283.0, CIKM16: 286.2, REDDIT: 225.1},
    "JUMP": {RECSYS15: 73.61, CIKM16: 180.6, REDDIT: 185.7},
}

DIGINETICA_5_CORE = "Diginetica-5-core"
# Protocol -> model -> what is printed of it.
OTHERS = {
    DIGINETICA_5_CORE: {
        "GRU4Rec": {"recall_at_20": 0.4995, "mrr_at_20": 0.1542},
    },
}
NOTES = {
    DIGINETICA_5_CORE: (
        "Beside what GRU4Rec's authors print (Results in the README of "
        "github.com/hidasib/GRU4Rec; Hidasi & Czapp, The Effect of Third Party "
        "Implementations on Reproducibility, RecSys 2023): consecutive repeats "
        "merged, items of 5 clicks and sessions of 2 until none is left to "
        "drop, the last 7 days as test. Their GRU4Rec has 512 units and the "
        "loss BPR-max, was searched for in 200 trials, and is trained on all "
        "that comes before the test. Ties are won, and clicks on items that "
        "training never saw are no inputs."
    ),
}
NAMES = (*DATA, *OTHERS)


def heading(name: str) -> str:
    """What tables call the numbers of one of `NAMES`."""
    return f"{name}, {'in the paper' if name in DATA else 'published'}"


def number(model: str | None, data: str | None, metric: str) -> float | None:
    """What is printed for a model, or None where nothing is.

    Args:
        model: its name there.
        data: one of `NAMES`.
        metric: a name of the evaluation file.
    """
    if data in OTHERS:
        return OTHERS[data].get(model or "", {}).get(metric)
    if metric == "dwell_mae_seconds":
        return DWELL_MAE_SECONDS.get(model or "", {}).get(data or "")
    row = CLICKS.get(model or "", {}).get(data or "")
    if row is None or metric not in CLICK_METRICS:
        return None
    return row[CLICK_METRICS.index(metric)]
