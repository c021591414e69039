"""DuckDB making sessions of a click log, as a peer of `jump-tf prepare`.

    python -m tests.benchmarks.duckdb_sessions LOG FOLDER

Rare items out, short sessions out, clicks in the order of time, their dwells
censored, split by a hash of the session; to a Parquet file a split. Items keep
their names: no vocabulary is made, and no row may be unreadable, so it does
less than `prepare`.
"""

import argparse
import pathlib

import duckdb

READ = """
    SELECT session_id, item_id, timestamp_ms
    FROM read_csv($log, header = true, columns = {
        'session_id': 'VARCHAR', 'item_id': 'VARCHAR',
        'timestamp_ms': 'BIGINT'})"""
# A session is too short where a click has none before it and none after it.
SESSIONS = """
    WITH frequent AS (
        SELECT item_id FROM log GROUP BY item_id HAVING count(*) >= 3
    ), timed AS (
        SELECT *, hash(session_id) AS digest,
            timestamp_ms - lag(timestamp_ms) OVER by_time AS before_ms,
            lead(timestamp_ms) OVER by_time - timestamp_ms AS dwell_ms
        FROM log SEMI JOIN frequent USING (item_id)
        WINDOW by_time AS (PARTITION BY session_id ORDER BY timestamp_ms)
    )
    SELECT session_id, item_id, timestamp_ms,
        least(coalesce(dwell_ms / 1000, 30), 2000)::FLOAT AS dwell_seconds,
        dwell_ms IS NULL OR dwell_ms >= 2000000 AS dwell_censored,
        CASE WHEN digest % 100 < 20 THEN 'test'
            WHEN digest // 100 % 100 < 10 THEN 'validation'
            ELSE 'train' END AS split
    FROM timed WHERE before_ms IS NOT NULL OR dwell_ms IS NOT NULL"""
WRITE = "COPY ({}) TO '{}' (FORMAT parquet, PARTITION_BY (split))"


def main(argv: list[str] | None = None) -> None:
    """Writes the folder; prints the number of clicks in it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args(argv)
    database = duckdb.connect(config={"threads": arguments.threads})
    database.execute(f"CREATE TABLE log AS {READ}", {"log": arguments.log})
    write = WRITE.format(SESSIONS, arguments.folder)
    (clicks,) = database.execute(write).fetchone()
    print(clicks)


if __name__ == "__main__":
    main()
