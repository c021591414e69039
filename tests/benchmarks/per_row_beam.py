"""The idiomatic Beam job, a row an element, as a peer of `jump-tf prepare`.

    python -m tests.benchmarks.per_row_beam LOG FOLDER

No filters, no vocabulary, no splits, an Example a session: it does less than
`prepare`.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import apache_beam as beam
import tensorflow as tf
from apache_beam.options import pipeline_options

from jump_tf import schema
from jump_tf.data import encoding


def main(argv: list[str] | None = None) -> None:
    """Writes the folder; prints the seconds that the pipeline took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log")
    parser.add_argument("folder")
    arguments = parser.parse_args(argv)
    begin = time.perf_counter()
    options = pipeline_options.PipelineOptions(["--runner=FnApiRunner"])
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | beam.io.ReadFromText(arguments.log, skip_header_lines=1)
            | beam.Map(_click).with_output_types(tuple[str, tuple[int, str]])
            | beam.GroupByKey()
            | beam.MapTuple(_example)
            | beam.io.WriteToTFRecord(
                f"{arguments.folder}/sessions",
                file_name_suffix=encoding.FILE_SUFFIX,
            )
        )
    print(time.perf_counter() - begin)


def _click(line):
    session, item, time_ms = line.split(",")
    return session, (int(time_ms), item)


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
