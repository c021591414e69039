import gzip
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from apache_beam.options import pipeline_options

import beam_jobs.tfds
from beam_jobs import build_sessions
from beam_jobs import counting
from beam_jobs.options import sessions as session_options
from beam_jobs.tfds import sessions_builder
from beam_jobs.tfds.cikm16 import cikm16_dataset_builder
from beam_jobs.tfds.recsys15 import recsys15_dataset_builder
from beam_jobs.tfds.reddit_sessions import reddit_sessions_dataset_builder
from jump_tf import schema
from tests import records

ROOT = pathlib.Path(beam_jobs.tfds.__file__).parent
BUILDERS = {
    "cikm16": cikm16_dataset_builder.Builder,
    "recsys15": recsys15_dataset_builder.Builder,
    "reddit_sessions": reddit_sessions_dataset_builder.Builder,
}


@pytest.mark.exhaustive
class TestCikm16(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = BUILDERS["cikm16"]
    SPLITS = {"train": 4, "validation": 2, "test": 3}  # noqa: RUF012


class TestRecsys15(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = BUILDERS["recsys15"]
    SPLITS = {"train": 4, "validation": 2, "test": 3}  # noqa: RUF012


@pytest.mark.exhaustive
class TestRedditSessions(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = BUILDERS["reddit_sessions"]
    SPLITS = {"train": 9, "validation": 1, "test": 5}  # noqa: RUF012


def dummy_log(name):
    return ROOT / name / "dummy_data" / BUILDERS[name].LOG_FILE


def load(name, data_dir, manual_dir, **settings):
    """All sessions of a dataset: split -> session id -> features."""
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, **settings)
    loaded = tfds.load(
        name,
        data_dir=data_dir,
        download_and_prepare_kwargs={"download_config": config},
    )
    return {
        split: {
            example.pop(schema.SESSION_ID).decode(): {
                feature: values.tolist() for feature, values in example.items()
            }
            for example in tfds.as_numpy(examples)
        }
        for split, examples in loaded.items()
    }


def flat(loaded):
    return [each for mine in loaded.values() for each in mine.values()]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """The sessions of the small logs, by dataset."""
    return {
        name: load(name, tmp_path_factory.mktemp(name), dummy_log(name).parent)
        for name in BUILDERS
    }


@pytest.fixture
def recsys15(datasets):
    return datasets["recsys15"]


@pytest.mark.parametrize("name", BUILDERS)
def test_sessions_are_those_of_the_job(name, datasets, tmp_path):
    log, loaded = dummy_log(name), datasets[name]
    data = tmp_path / "data"
    build_sessions.run(
        session_options.PrepareOptions(
            format=BUILDERS[name].LOG_FORMAT,
            input=(str(log),),
            output=str(data),
        )
    )
    items = (data / schema.VOCABULARY_FILE).read_bytes().split()
    ids = {item: n for n, item in enumerate(items, schema.FIRST_ITEM_ID)}
    for split in schema.SPLITS:
        paths = map(str, data.glob(f"{split}-*"))
        expected = {
            mine.session_id: mine for mine in records.read_sessions(list(paths))
        }
        assert set(loaded[split]) == set(expected)
        for session_id, features in loaded[split].items():
            session = expected[session_id]
            known = [ids.get(i, schema.OOV_ID) for i in features[schema.ITEMS]]
            assert known == list(session.items)
            for feature in (
                schema.START_MS,
                schema.DWELL_SECONDS,
                schema.DWELL_CENSORED,
                schema.SESSION_CUT,
            ):
                np.testing.assert_array_equal(
                    np.float64(features[feature]),
                    np.float64(getattr(session, feature)),
                )


def test_only_visitors_are_cut_by_the_log_s_end(datasets, recsys15):
    reddit = flat(datasets["reddit_sessions"])
    cut = [each[schema.SESSION_CUT] for each in reddit]
    assert 0 < sum(cut) < len(cut)
    assert not any(each[schema.SESSION_CUT] for each in flat(recsys15))


def test_the_dummy_log_has_every_case(recsys15):
    log = dummy_log("recsys15")
    sessions = flat(recsys15)
    lengths = {len(each[schema.ITEMS]) for each in sessions}
    censored = sum(sum(each[schema.DWELL_CENSORED]) for each in sessions)
    assert len(lengths) > 2
    assert censored > len(sessions)  # A dwell beyond c1, too.
    rows = log.read_text().count("\n")
    assert rows > sum(len(each[schema.ITEMS]) for each in sessions)


def test_a_packed_log_is_the_same_log(tmp_path, recsys15):
    log = dummy_log("recsys15")
    (tmp_path / "manual").mkdir()
    packed = tmp_path / "manual" / f"{log.name}.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    assert load("recsys15", tmp_path, packed.parent) == recsys15


def test_a_missing_log_is_told_how_to_get(tmp_path):
    (tmp_path / "yoochoose-data.7z").write_bytes(b"7z")
    sentence = r"`manual_dir` must hold one of .*(?s:.)*unpack it"
    with pytest.raises(schema.InputError, match=sentence):
        load("recsys15", tmp_path / "data", tmp_path)


def test_a_log_that_is_there_twice_is_refused(tmp_path):
    log = dummy_log("cikm16")
    for name in (log.name, f"{log.name}.xz"):
        (tmp_path / name).write_bytes(log.read_bytes())
    with pytest.raises(schema.InputError, match=f"{log.name}, {log.name}.xz"):
        load("cikm16", tmp_path / "data", tmp_path)


def test_a_bad_log_leaves_no_dataset(tmp_path):
    log = dummy_log("recsys15")
    (tmp_path / log.name).write_text(log.read_text() + "no,click\n")
    with pytest.raises(schema.InputError, match="max_reject_share"):
        load("recsys15", tmp_path / "data", tmp_path)
    assert not list(tmp_path.glob("data/**/*.tfrecord*"))


def test_a_lost_click_leaves_no_dataset(tmp_path, monkeypatch):
    stages = [("write", counting.LINES, (counting.CLICKS,))]
    monkeypatch.setattr(sessions_builder, "_STAGES", stages)
    with pytest.raises(RuntimeError, match="Stage `write` must pass on"):
        load("recsys15", tmp_path, dummy_log("recsys15").parent)
    assert not list(tmp_path.glob("**/*.tfrecord*"))


def test_threads_are_refused(tmp_path):
    threads = pipeline_options.PipelineOptions(
        ["--direct_running_mode=multi_threading"]
    )
    with pytest.raises(schema.InputError, match="silently loses data"):
        load(
            "recsys15",
            tmp_path,
            dummy_log("recsys15").parent,
            beam_options=threads,
        )


IN_PROCESSES = (
    "--beam_pipeline_options=direct_num_workers=2,"
    "direct_running_mode=multi_processing"
)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(
            ["cikm16", "--imports=beam_jobs.tfds"],
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            [str(ROOT / "cikm16"), IN_PROCESSES], marks=pytest.mark.exhaustive
        ),
        pytest.param(
            ["cikm16", "--imports=beam_jobs.tfds", IN_PROCESSES],
            marks=pytest.mark.exhaustive,
        ),
    ],
    ids=["import", "folder, processes", "import, processes"],
)
def test_tfds_build(arguments, tmp_path):
    subprocess.run(
        [
            *(sys.executable, "-m", "tensorflow_datasets.scripts.cli.main"),
            *("build", *arguments, f"--data_dir={tmp_path}"),
            f"--manual_dir={dummy_log('cikm16').parent}",
        ],
        check=True,
    )
    builder = tfds.builder_from_directory(str(tmp_path / "cikm16" / "1.0.0"))
    assert builder.info.splits["train"].num_examples == 4
