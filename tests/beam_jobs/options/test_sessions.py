import argparse
import dataclasses

import pytest

from beam_jobs.options import sessions as session_options
from jump_tf import schema


def make(**changes):
    request = {"format": "csv", "input": ("log.csv",), "output": "data"}
    return session_options.PrepareOptions(**{**request, **changes})


@pytest.mark.parametrize(
    ("name", "value", "must"),
    [
        ("format", "orc", "be one of"),
        ("split", "spatial", "be one of"),
        ("input", (), "name at least one file"),
        ("input", ("a", "b", "a"), "name each file once"),
        ("output", "", "name a folder"),
        ("output", "/", "name a folder"),
        ("min_item_clicks", 0, "be at least 1"),
        ("shards_per_split", 0, "be at least 1"),
        ("min_session_clicks", 1, "be at least 2"),
        ("until", "yesterday", "be an instant in ISO 8601"),
        ("test_days", 0.0, "be positive and finite"),
        ("validation_days", 0.0, "be positive and finite"),
        ("max_dwell_seconds", float("nan"), "be positive and finite"),
        ("max_dwell_seconds", float("inf"), "be positive and finite"),
        ("last_dwell_seconds", -1.0, "be positive and finite"),
        ("last_dwell_seconds", 2001.0, "be at most max_dwell_seconds=2000"),
        ("max_reject_share", 1.1, "lie between 0 and 1"),
        ("delimiter", ";;", "be one ASCII character"),
        ("delimiter", '"', "be one ASCII character"),
        ("delimiter", "§", "be one ASCII character"),
        ("quote", "no", "be one ASCII character, not the delimiter, or none"),
        ("quote", ",", "be one ASCII character, not the delimiter, or none"),
        ("columns", ("a", "b", "a"), "name each column once"),
        ("max_session_length", 1, "be at least 2"),
        ("time_unit", "minutes", "be one of"),
        ("session_gap", 1800.0, "be given for logs of visitors only"),
    ],
)
def test_refuses(name, value, must):
    sentence = f"^`{name}` must {must}.*Received: "
    with pytest.raises(schema.InputError, match=sentence):
        make(**{name: value})


@pytest.mark.parametrize("gap", [None, 0.0, -1.0, float("inf")])
def test_visitors_need_a_gap(gap):
    sentence = "^`session_gap` must be positive seconds.*Received: "
    with pytest.raises(schema.InputError, match=sentence):
        make(visitor_column="visitor", session_gap=gap)


def test_sessions_or_visitors():
    with pytest.raises(schema.InputError, match="not be given beside"):
        make(visitor_column="v", session_column="s", session_gap=1800.0)


@pytest.mark.parametrize(
    ("log_format", "name", "value"),
    [
        ("yoochoose", "time_unit", "s"),
        ("reddit", "dwell_column", "stay"),
        ("jsonl", "delimiter", ";"),
        ("tsv", "delimiter", ";"),
        ("parquet", "columns", ("a", "b")),
        ("jsonl", "quote", "none"),
    ],
)
def test_settings_need_a_format_that_has_them(log_format, name, value):
    sentence = f"`{name}` must be given with format=.* only"
    with pytest.raises(schema.InputError, match=sentence):
        make(format=log_format, **{name: value})


def test_reddit_is_cut_at_an_hour_unless_told_otherwise():
    assert make(format="reddit").gap_seconds == 3600.0
    assert make(format="reddit", session_gap=60.0).gap_seconds == 60.0
    assert make().gap_seconds is None


def parse(*arguments):
    parser = argparse.ArgumentParser()
    session_options.add_arguments(parser)
    return session_options.PrepareOptions.from_arguments(
        parser.parse_args(["--format", "csv", "--input", *arguments])
    )


def test_flags_and_fields_share_defaults():
    assert parse("log.csv", "--output", "data") == make()


def test_every_flag_reaches_its_field():
    changed = {
        "overwrite": True,
        "split": "temporal",
        "test_days": 2.5,
        "validation_days": 0.5,
        "until": "2017-10-17",
        "session_gap": 900.0,
        "merge_repeats": True,
        "min_item_clicks": 5,
        "min_session_clicks": 4,
        "k_core": True,
        "max_session_length": 50,
        "max_dwell_seconds": 100.0,
        "last_dwell_seconds": 7.0,
        "max_reject_share": 0.2,
        "shards_per_split": 9,
        "delimiter": "\t",
        "visitor_column": "who",
        "item_column": "what",
        "time_column": "when",
        "time_unit": "iso8601",
        "dwell_column": "stay",
        "columns": ("who", "what", "when"),
        "quote": "'",
    }
    flags = ["a.csv", "b.csv", "--output=data"]
    for name, value in changed.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, tuple):
            flags += [flag, *value]
        elif value is True:
            flags.append(flag)
        else:
            text = "\\t" if value == "\t" else value
            flags.append(f"{flag}={text}")
    parsed = parse(*flags)
    assert parsed == make(input=("a.csv", "b.csv"), **changed)
    untouched = {"format", "input", "output", "session_column"}
    fields = {field.name for field in dataclasses.fields(parsed)}
    assert fields == untouched | set(changed)
