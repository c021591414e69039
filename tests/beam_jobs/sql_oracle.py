"""Cutting, filtering and censoring of a click log in SQL: a third hand.

Tables, each made of the one before; the clicks that one has less were dropped
for a reason.
"""

import dataclasses
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from tests.beam_jobs import oracle

STAGES = {
    "ordered": """
        SELECT visit, item, dwell, row_number() OVER clicks AS place,
            first_value(origin_ms) OVER clicks + time_ms AS instant,
            time_ms - lag(time_ms) OVER clicks AS pause_ms
        FROM log
        WINDOW clicks AS (
            PARTITION BY visit ORDER BY origin_ms, time_ms, position)""",
    "pieces": """
        SELECT *, count(*) FILTER (pause_ms >= 1000 * $session_gap)
            OVER (PARTITION BY visit ORDER BY place) AS piece
        FROM ordered""",
    "cut": """
        SELECT item, dwell, place, instant,
            CASE WHEN $session_gap IS NULL THEN visit
                ELSE visit || '/' || first_value(instant) OVER session
            END AS session,
            coalesce(
                (SELECT max(origin_ms + time_ms) FROM log)
                    - last_value(instant) OVER session
                    < 1000 * $session_gap, false) AS is_cut
        FROM pieces
        WINDOW session AS (PARTITION BY visit, piece ORDER BY place
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)""",
    "runs": """
        SELECT *, coalesce(item = lag(item) OVER clicks, false)
            AND $merge_repeats AS goes_on
        FROM cut WINDOW clicks AS (PARTITION BY session ORDER BY place)""",
    "numbered": """
        SELECT *, count(*) FILTER (NOT goes_on)
            OVER (PARTITION BY session ORDER BY place) AS run
        FROM runs""",
    "merged": """
        SELECT session, item, is_cut, min(place) AS place,
            arg_min(instant, place) AS instant,
            CASE WHEN count(dwell) = count(*) THEN sum(dwell) END AS dwell
        FROM numbered GROUP BY session, item, is_cut, run""",
    "in_time": """
        SELECT * FROM merged WHERE $until_ms IS NULL OR session IN (
            SELECT session FROM merged GROUP BY session
            HAVING arg_max(instant, place) < $until_ms)""",
    "forward": """
        SELECT * FROM in_time WHERE session NOT IN (
            SELECT session FROM (
                SELECT session, instant < lag(instant) OVER (
                    PARTITION BY session ORDER BY place) AS back
                FROM in_time)
            WHERE back)""",
    "core": """
        SELECT item FROM in_time
        GROUP BY item HAVING count(*) >= $min_item_clicks""",
    "frequent": """
        SELECT * FROM forward WHERE item IN (SELECT item FROM core)""",
    "long": """
        SELECT * FROM frequent WHERE session IN (
            SELECT session FROM frequent
            GROUP BY session HAVING count(*) >= $min_session_clicks)""",
    "last": """
        SELECT * FROM long
        QUALIFY $max_session_length IS NULL OR row_number() OVER (
            PARTITION BY session ORDER BY place DESC) <= $max_session_length""",
    "timed": """
        SELECT *, lead(instant) OVER (
                PARTITION BY session ORDER BY place) AS following,
            coalesce(dwell, (following - instant) / 1000) AS known,
            least($last_dwell_seconds,
                CASE WHEN is_cut THEN ((
                    SELECT max(origin_ms + time_ms) FROM log
                ) - instant) / 1000 END) AS bound
        FROM last""",
    "censored": """
        SELECT session, item, place, instant, is_cut,
            least(coalesce(known, bound), $max_dwell_seconds) AS seconds,
            known IS NULL OR known >= $max_dwell_seconds AS is_bound
        FROM timed""",
}
# Of the k-core, again until nothing changes.
NARROWED = """
    WITH kept AS (
        SELECT * FROM forward WHERE item IN (SELECT item FROM core)
        QUALIFY count(*) OVER (PARTITION BY session) >= $min_session_clicks)
    SELECT item FROM kept
    GROUP BY item HAVING count(*) >= $min_item_clicks"""
REASONS = {
    "merged repeat": ("numbered", "merged"),
    "after the end": ("merged", "in_time"),
    "clock runs backward": ("in_time", "forward"),
    "rare item": ("forward", "frequent"),
    "short session": ("frequent", "long"),
    "beyond the longest": ("long", "last"),
}
SESSIONS = """
    SELECT session, arg_min(instant, place), list(item ORDER BY place),
        list(seconds ORDER BY place), list(is_bound::INT ORDER BY place),
        any_value(is_cut)::INT
    FROM censored GROUP BY session"""


def expected(
    rows: Sequence[oracle.Row], rules: oracle.Rules
) -> tuple[dict[str, oracle.Session], dict[str, int]]:
    """Session id -> session, and reason -> clicks dropped."""
    values = dataclasses.asdict(rules)
    columns = list(zip(*rows, strict=True))
    log = pa.table(
        {
            "visit": pa.array(columns[0], pa.string()),
            "item": pa.array(columns[1], pa.string()),
            "time_ms": pa.array(columns[2], pa.int64()),
            "dwell": pa.array(columns[3], pa.float64()),
            "origin_ms": pa.array(columns[4], pa.int64()),
            "position": pa.array(range(len(rows)), pa.int64()),
        }
    )
    with duckdb.connect() as database:
        database.register("log", log)
        counts = {}

        def make(name, query):
            used = {key: values[key] for key in values if f"${key}" in query}
            database.execute(f"CREATE OR REPLACE TABLE {name} AS {query}", used)
            (counts[name],) = database.execute(
                f"SELECT count(*) FROM {name}"
            ).fetchone()

        for name, query in STAGES.items():
            make(name, query)
            before = None
            while name == "core" and rules.k_core and counts[name] != before:
                before = counts[name]
                make(name, NARROWED)
        sessions = {
            name: oracle.Session(*columns)
            for name, *columns in database.execute(SESSIONS).fetchall()
        }
    filtered = {
        reason: counts[before] - counts[after]
        for reason, (before, after) in REASONS.items()
        if counts[before] > counts[after]
    }
    return sessions, filtered
