import argparse
import dataclasses

import pytest

from beam_jobs.options import lists as list_options
from jump_tf import schema


def make(name="jd-micro", **changes):
    if name == "csv":
        changes.setdefault("feature_columns", ("item",))
    return list_options.ListOptions(name, ("log",), "data", **changes)


@pytest.mark.parametrize(
    ("log_format", "name", "value", "must"),
    [
        ("yoochoose", None, None, "be one of"),
        ("criteo", "min_list_length", 0, "be at least 1"),
        ("criteo", "min_feature_count", 0, "be at least 1"),
        ("criteo", "criteo_label", "click", "be one of"),
        ("jd-micro", "criteo_label", "conversion", "be given with format=c"),
        ("criteo", "jd_engaged", (6,), "be given with format=jd-micro"),
        ("csv", "ali_ccp_common_features", ("f",), "be given with format=ali"),
        ("criteo", "time_column", "t", "be given with format=csv"),
        ("criteo-sequences", "sequences_time_unit", 0.0, "be positive and"),
        ("jd-micro", "jd_engaged", (5, 6), "be among"),
        ("jd-micro", "jd_engaged", (6, 9), "have none of jd_satisfied"),
        ("csv", "feature_columns", (), "name columns, once"),
        ("csv", "feature_columns", ("a", "a"), "name columns, once"),
        ("criteo", "list_gap", 0.0, "be positive and finite"),
        ("ali-ccp", "list_gap", 60.0, "be given where the items"),
        ("impressions", "list_gap", 60.0, "be given where the items"),
        ("csv", "list_gap", 60.0, "be given where the items"),
        ("csv", "split", "temporal", "be random where the log has no clock"),
        ("jd-micro", "split", "temporal", "be random where the log has no"),
        ("ali-ccp", "split", "temporal", "be random where the log has no"),
    ],
)
def test_refuses(log_format, name, value, must):
    sentence = f"^`{name or 'format'}` must {must}.*Received: "
    with pytest.raises(schema.InputError, match=sentence):
        make(log_format, **({name: value} if name else {}))


def test_logs_with_times_can_be_cut():
    for log_format in ("criteo", "criteo-sequences", "jd-micro"):
        assert make(log_format, list_gap=60.0).list_gap == 60.0
    assert make("csv", time_column="t", list_gap=60.0).has_clock


def parse(*arguments):
    parser = argparse.ArgumentParser()
    list_options.add_arguments(parser)
    return list_options.ListOptions.from_arguments(
        parser.parse_args(["--input", "log", "--output=data", *arguments])
    )


def test_flags_and_fields_share_defaults():
    assert parse("--format=jd-micro") == make()


CHANGES = {
    "criteo": {
        "split": "temporal",
        "test_days": 2.5,
        "validation_days": 0.5,
        "list_gap": 900.0,
        "min_list_length": 3,
        "min_feature_count": 7,
        "max_reject_share": 0.2,
        "shards_per_split": 9,
        "criteo_label": "conversion",
    },
    "criteo-sequences": {"sequences_time_unit": 86_400.0},
    "ali-ccp": {"ali_ccp_common_features": ("c1", "c2")},
    "jd-micro": {"jd_engaged": (6, 9), "jd_satisfied": (10,)},
    "impressions": {"impressions_conversion_column": "booked"},
    "csv": {
        "delimiter": "\t",
        "list_column": "page",
        "time_column": "when",
        "time_unit": "iso8601",
        "click_column": "seen",
        "conversion_column": "bought",
        "feature_columns": ("item", "shelf"),
    },
}


@pytest.mark.parametrize("log_format", CHANGES)
def test_every_flag_reaches_its_field(log_format):
    flags = [f"--format={log_format}", "--overwrite"]
    for name, value in CHANGES[log_format].items():
        texts = value if isinstance(value, tuple) else (value,)
        flags += [f"--{name.replace('_', '-')}", *map(str, texts)]
    flags = ["\\t" if flag == "\t" else flag for flag in flags]
    assert parse(*flags) == make(
        log_format, overwrite=True, **CHANGES[log_format]
    )


def test_the_flags_above_are_all():
    changed = {name for changes in CHANGES.values() for name in changes}
    fields = {
        field.name for field in dataclasses.fields(list_options.ListOptions)
    }
    assert fields == changed | {"format", "input", "output", "overwrite"}
