"""The job, the oracle in Python and the oracle in SQL agree on random logs."""

import collections
import csv
import dataclasses
import datetime
import pathlib
import tempfile

import numpy as np
import pytest
from hypothesis import Phase
from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from beam_jobs import build_sessions
from beam_jobs.options import sessions as session_options
from beam_jobs.transforms import k_core
from jump_tf import schema
from tests import records
from tests.beam_jobs import oracle
from tests.beam_jobs import sql_oracle
from tests.beam_jobs.oracle import DAY_MS
from tests.beam_jobs.oracle import Row
from tests.beam_jobs.oracle import Rules

START_MS = 16_000 * DAY_MS  # A midnight UTC.
# Around all limits; few, so that the ends of visits meet each other, too.
PAUSES_MS = (
    *(0, 1, 500),
    *(44_999, 45_000, 45_001),
    *(1_799_999, 1_800_000, 1_800_001),
    *(1_999_999, 2_000_000, 2_000_001),
)
# Exact in binary, so that they add up to the same in any order.
DWELLS = (
    *[None] * 6,
    0.0,
    0.125,
    29.875,
    30.0,
    1999.875,
    2000.0,
    2000.125,
    1e6,
)
NOT_MEASURED = ("", "-1.5", "nan", "inf", "-inf")

RULES = {
    "merge_repeats": st.booleans(),
    "min_item_clicks": st.integers(1, 4),
    "min_session_clicks": st.integers(2, 3),
    "max_session_length": st.sampled_from((None, 3, 4)),
    "max_dwell_seconds": st.sampled_from((45.0, 1799.999, 2000.0)),
    "last_dwell_seconds": st.sampled_from((0.5, 30.0)),
    "split": st.sampled_from(("random", "temporal")),
    "test_days": st.sampled_from((0.0005, 0.25)),
}
K_CORE = st.builds(
    Rules,
    k_core=st.just(True),
    validation_days=st.sampled_from((None, 0.125)),
    **RULES,
)
SESSION_RULES = st.builds(Rules, **RULES)
RULES_OF_BOTH = st.builds(
    Rules, session_gap=st.sampled_from((None, 45.0, 1800.0)), **RULES
)


@pytest.fixture(scope="module", autouse=True)
def few_rounds():
    """A round drops one of the five items at least, or is the last."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(k_core, "ROUNDS", 6)
        yield


@st.composite
def logs(draw, visits):
    """Visits whose clicks meet all limits, mixed in the log."""
    rows = []
    for visit in range(draw(st.integers(visits, 2 * visits))):
        time_ms = START_MS + draw(st.sampled_from((*PAUSES_MS, DAY_MS)))
        for _ in range(draw(st.integers(1, 6))):
            time_ms += draw(st.sampled_from(PAUSES_MS))
            item = draw(st.sampled_from("aaabbcde"))
            dwell = draw(st.sampled_from(DWELLS))
            rows.append(Row(f"v{visit}", item, time_ms, dwell))
    if draw(st.booleans()):  # The log ends a gap after the last of these.
        gap_ms = draw(st.sampled_from((45_000, 1_800_000)))
        rows.append(Row("v", "a", max(row.time_ms for row in rows) + gap_ms))
    return draw(st.permutations(rows))


@st.composite
def logs_by_day(draw, visits):
    """Rows count from their session's start, but tell the day, in any order.

    A session's clock runs backward where a later day has an earlier time.
    """
    row = st.builds(
        Row,
        visit=st.sampled_from([f"v{visit}" for visit in range(visits)]),
        item=st.sampled_from("aabcd"),
        time_ms=st.sampled_from(PAUSES_MS),
        dwell=st.none(),
        origin_ms=st.sampled_from((START_MS,) * 6 + (START_MS + DAY_MS,)),
    )
    return draw(st.lists(row, min_size=3 * visits, max_size=5 * visits))


@st.composite
def cases(draw, logs, rules):
    """A log and rules; half of them end it just where one of its rows is."""
    rows, asked = draw(logs), draw(rules)
    if draw(st.booleans()):
        last = draw(st.sampled_from(rows))
        until_ms = last.origin_ms + last.time_ms
        asked = dataclasses.replace(asked, until_ms=until_ms)
    return rows, asked


def all_cases(visits):
    """Of logs of visitors or sessions, and of those that tell the day."""
    return cases(logs(visits), RULES_OF_BOTH), cases(
        logs_by_day(visits), SESSION_RULES
    )


def exhaustive(max_examples, phases=tuple(Phase)):
    # The same examples on every machine, however slow it is.
    return settings(
        max_examples=max_examples,
        phases=phases,
        deadline=None,
        derandomize=True,
    )


# A job takes too long to be run for every smaller log that fails as well.
AS_DRAWN = (Phase.explicit, Phase.generate)
# Sessions end just a gap before the log does: none of them was cut by that.
JUST_ENDED = (
    [Row(f"v{n}", "a", START_MS + n % 2) for n in range(1, 12)]
    + [Row(f"v{n}", "a", START_MS + 1) for n in range(12)]
    + [Row("v", "a", START_MS + 1 + 45_000)],
    Rules(session_gap=45.0),
)


def examples(few, many):
    return pytest.mark.parametrize(
        "number", [few, pytest.param(many, marks=pytest.mark.exhaustive)]
    )


@examples(40, 100)
def test_python_and_sql_agree(number):
    exhaustive(number)(given(st.one_of(all_cases(visits=3)))(check_sql))()


def check_sql(case):
    found = oracle.expected(*case)
    assert (found.sessions, found.filtered) == sql_oracle.expected(*case)


def test_the_drawn_logs_have_every_case():
    reasons = collections.Counter()
    sessions = []

    @exhaustive(200)
    @given(st.one_of(all_cases(visits=3)))
    def draw(case):
        found = oracle.expected(*case)
        reasons.update(found.filtered.keys())
        sessions.extend(found.sessions.values())

    draw()
    assert reasons.keys() == sql_oracle.REASONS.keys()
    assert min(reasons.values()) > 5
    dwells = collections.Counter(
        (seconds, censored, session.cut)
        for session in sessions
        for seconds, censored in zip(*session[2:4], strict=True)
    )
    assert {
        (0.0, 0, 0),
        (0.0, 1, 1),  # The log ended with this click.
        (29.875, 0, 1),
        (30.0, 1, 0),
        (0.5, 1, 1),
        (1799.999, 1, 0),
        (2000.0, 1, 0),
    } <= dwells.keys()


@examples(10, 50)
def test_python_and_sql_agree_on_k_cores(number):
    drawn = cases(logs(visits=6), K_CORE)
    exhaustive(number)(given(drawn)(check_sql))()


@examples(2, 10)
def test_the_job_agrees_on_k_cores(number):
    drawn = cases(logs(visits=12), K_CORE)
    exhaustive(number, AS_DRAWN)(given(drawn)(check_csv))()


@examples(4, 15)
def test_the_job_agrees_on_csv(number):
    cases = all_cases(visits=8)[0]
    exhaustive(number, AS_DRAWN)(example(JUST_ENDED)(given(cases)(check_csv)))()


@examples(3, 10)
def test_the_job_agrees_on_clocks(number):
    cases = all_cases(visits=8)[1]
    exhaustive(number, AS_DRAWN)(given(cases)(check_clocks))()


def check_csv(case):
    rows, rules = case
    lines = [("dwell", "when", "what", "who")]
    for number, row in enumerate(rows):
        dwell = row.dwell
        if dwell is None:
            dwell = NOT_MEASURED[number % len(NOT_MEASURED)]
        lines.append((dwell, row.time_ms, row.item, row.visit))
    by_visitor = rules.session_gap is not None
    check_job(
        rows,
        rules,
        lines,
        format="csv",
        dwell_column="dwell",
        time_column="when",
        item_column="what",
        **{"visitor_column" if by_visitor else "session_column": "who"},
    )


def check_clocks(case):
    rows, rules = case
    lines = [("sessionId", "userId", "itemId", "timeframe", "eventdate")]
    for row in rows:
        day = instant(row.origin_ms).date()
        lines.append((row.visit, "NA", row.item, row.time_ms, day))
    check_job(rows, rules, lines, delimiter=";", format="diginetica")


def check_job(rows, rules, lines, delimiter=",", **layout):
    """What the job makes of a log's lines is what the oracle makes of rows."""
    expected = oracle.expected(rows, rules)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with (folder / "log").open("w", newline="") as log:
            csv.writer(log, delimiter=delimiter).writerows(lines)
        request = session_options.PrepareOptions(
            input=(f"{name}/log",),
            output=f"{name}/data",
            **as_options(rules),
            **layout,
        )
        if not expected.splits[schema.TRAIN]:
            with pytest.raises(schema.InputError, match="to train on"):
                build_sessions.run(request)
            assert [path.name for path in folder.iterdir()] == ["log"]
            return
        manifest = build_sessions.run(request)
        check_folder(folder / "data", expected)
    assert manifest["filtered"] == expected.filtered
    assert manifest["rows"] == len(rows)


def as_options(rules):
    values = dataclasses.asdict(rules)
    until_ms = values.pop("until_ms")
    if until_ms is not None:
        values["until"] = instant(until_ms).isoformat()
    return values


def instant(time_ms):
    return datetime.datetime.fromtimestamp(time_ms / 1000, datetime.UTC)


def check_folder(folder, expected):
    text = (folder / schema.VOCABULARY_FILE).read_text()
    assert text.splitlines() == expected.vocabulary
    ids = {item: n for n, item in enumerate(expected.vocabulary, 2)}
    for split, mine in expected.splits.items():
        assert read_split(folder, split) == {
            name: (
                session.start_ms,
                [ids.get(item, schema.OOV_ID) for item in session.items],
                np.float32(session.dwell_seconds).tolist(),
                session.dwell_censored,
                session.cut,
            )
            for name, session in mine.items()
        }


def read_split(folder, split):
    paths = sorted(map(str, folder.glob(f"{split}-*.tfrecord.gz")))
    return {
        session.session_id: (
            session.start_ms,
            list(session.items),
            list(session.dwell_seconds),
            list(session.dwell_censored),
            session.session_cut,
        )
        for session in records.read_sessions(paths)
    }
