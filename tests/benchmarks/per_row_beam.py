"""The idiomatic Beam job, a row an element, as a peer of `jump-tf prepare`.

    python -m tests.benchmarks.per_row_beam LOG FOLDER [--layout yoochoose]

No filters, no vocabulary, no splits, an Example a session: it does less than
`prepare`.
"""

import argparse
import datetime
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import apache_beam as beam
import tensorflow as tf
from apache_beam.options import pipeline_options

from jump_tf import schema
from jump_tf.data import encoding
from tests.benchmarks import big_log


def main(argv: list[str] | None = None) -> None:
    """Writes the folder; prints the seconds that the pipeline took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log")
    parser.add_argument("folder")
    parser.add_argument(
        "--layout", choices=big_log.LAYOUTS, default=big_log.CSV
    )
    arguments = parser.parse_args(argv)
    is_csv = arguments.layout == big_log.CSV
    begin = time.perf_counter()
    options = pipeline_options.PipelineOptions(["--runner=FnApiRunner"])
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | beam.io.ReadFromText(arguments.log, skip_header_lines=is_csv)
            | beam.Map(_csv if is_csv else _yoochoose).with_output_types(
                tuple[str, tuple[int, str]]
            )
            | beam.GroupByKey()
            | beam.MapTuple(_example)
            | beam.io.WriteToTFRecord(
                f"{arguments.folder}/sessions",
                file_name_suffix=encoding.FILE_SUFFIX,
            )
        )
    print(time.perf_counter() - begin)


def _csv(line):
    session, item, time_ms = line.split(",")
    return session, (int(time_ms), item)


def _yoochoose(line):
    session, instant, item, _ = line.split(",")
    seconds = datetime.datetime.fromisoformat(instant).timestamp()
    return session, (round(1000 * seconds), item)


def _example(session, clicks):
    times_ms, items = zip(*sorted(clicks), strict=True)
    texts, numbers = tf.train.BytesList, tf.train.Int64List
    feature = {
        schema.SESSION_ID: tf.train.Feature(
            bytes_list=texts(value=[session.encode()])
        ),
        schema.ITEMS: tf.train.Feature(
            bytes_list=texts(value=[item.encode() for item in items])
        ),
        "time_ms": tf.train.Feature(int64_list=numbers(value=times_ms)),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString()


if __name__ == "__main__":
    main()
