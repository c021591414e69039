"""What TensorBoard shows of a run, asked as TensorBoard asks."""

import json
import shutil
import time
import urllib.parse
import urllib.request

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard import program
from tensorboard.backend.event_processing import event_accumulator

from jump_tf import schema
from jump_tf.data import folders
from jump_tf.evaluate.sessions import validation_summaries
from jump_tf.runs import folder as run_folder
from jump_tf.runs import model_factory
from jump_tf.train import tensorboard as train_tensorboard
from tests import pictures
from tests import small_runs

EPOCHS = 2


@pytest.fixture(scope="module")
def logdir(finished_run, data_folder, tmp_path_factory):
    """Of two runs, the first one profiled."""
    folder = tmp_path_factory.mktemp("sweep")
    settings = (*small_runs.SHARED, "training.learning_rate=0.005")
    with pictures.drawn():
        small_runs.train_here(
            data_folder, folder / "one", settings, profile=(2, 3)
        )
    shutil.copytree(finished_run, folder / "two")
    return folder


@pytest.fixture(scope="module")
def tensorboard(logdir):
    """Asks a TensorBoard that was started for it; its answer in JSON."""
    server = program.TensorBoard()
    server.configure(
        argv=[
            *("tensorboard", "--logdir", str(logdir), "--port", "0"),
            *("--host", "127.0.0.1", "--load_fast", "false"),
        ]
    )
    address = server.launch()

    def ask(path, body=None, **query):
        url = f"{address}data/{path}?{urllib.parse.urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            url, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    return ask


def events(run, part):
    accumulator = event_accumulator.EventAccumulator(
        str(run / run_folder.TENSORBOARD_FOLDER / part),
        size_guidance={event_accumulator.TENSORS: 0},
    )
    accumulator.Reload()
    return {
        tag: accumulator.Tensors(tag) for tag in accumulator.Tags()["tensors"]
    }


def steps_of(run, part):
    return {
        tag: [event.step for event in points]
        for tag, points in events(run, part).items()
    }


def values_of(run, part, tag):
    return [
        float(tf.make_ndarray(event.tensor_proto))
        for event in events(run, part)[tag]
    ]


def test_scalars_and_images_of_every_epoch(logdir):
    run, epochs = logdir / "one", list(range(EPOCHS))
    train, validation = steps_of(run, "train"), steps_of(run, "validation")
    for tag in ("epoch_loss", "epoch_click_loss", "epoch_dwell_loss"):
        assert train[tag] == epochs
    for tag in ("epoch_recall_at_20", "epoch_dwell_mae_seconds"):
        assert validation[tag] == epochs
    assert steps_of(run, "images") == {
        "dwell_calibration": epochs,
        "attention": epochs,
    }
    assert steps_of(run, "slices") == {
        "recall_at_20_by_session_length/2-6": epochs,
        "recall_at_20_by_session_length/7-9": epochs,
        "recall_at_20_by_session_length/10-30": epochs,
        "dwell_calibration_error": epochs,
    }


def test_the_last_step_of_an_epoch_has_a_point(logdir):
    """As no other of so short an epoch has; so it is the epoch's mean."""
    run = logdir / "one"
    for name in ("loss", "click_loss", "dwell_loss", "end_loss"):
        points = values_of(run, "steps", name)
        assert len(points) == EPOCHS
        epochs = values_of(run, "train", f"epoch_{name}")
        np.testing.assert_allclose(points, epochs, rtol=1e-4)
    assert min(values_of(run, "steps", "clicks_per_second")) > 0
    first, last = values_of(run, "steps", "learning_rate")
    assert first == pytest.approx(0.005) and last < first


def test_a_point_is_the_mean_since_the_point_before(tmp_path):
    """A model that cannot learn: its losses are the squares of the targets."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Lambda(abs)])
    model.compile("sgd", "mse")
    model.fit(
        np.zeros((7, 1)),
        np.sqrt(np.arange(7.0))[:, None],
        batch_size=1,
        shuffle=False,
        callbacks=[
            train_tensorboard.StepScalars(tmp_path / "tensorboard/steps", 3)
        ],
        verbose=0,
    )
    assert values_of(tmp_path, "steps", "loss") == pytest.approx([1, 4, 6])


class Killed(BaseException):
    pass


class KillAt(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise Killed


def test_points_of_a_resumed_run_follow_its_checkpoint(tmp_path):
    """Eight steps an epoch; killed in the second, after the 14th step."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")

    def fit(*others, **options):
        steps = train_tensorboard.StepScalars(
            tmp_path / "run/tensorboard/steps", 3
        )
        model.fit(
            *(np.ones((16, 3)), np.ones((16, 1)), 2),
            epochs=2,
            callbacks=[steps, *others],
            verbose=0,
            **options,
        )

    with pytest.raises(Killed):
        fit(KillAt(14))
    killed = steps_of(tmp_path / "run", "steps")["loss"]
    (file,) = (tmp_path / "run/tensorboard/steps").iterdir()
    file.write_bytes(file.read_bytes() + b"half a record")
    model.optimizer.iterations.assign(8)
    time.sleep(1.1)  # Event files are read in the order of their seconds.
    fit(initial_epoch=1)
    resumed = steps_of(tmp_path / "run", "steps")["loss"]
    assert killed == [3, 6, 8, 9, 12]
    assert resumed == [3, 6, 8, 9, 12, 15, 16]


def test_a_profile_is_written_on_request(logdir):
    assert list((logdir / "one").rglob("*.xplane.pb"))
    assert not list((logdir / "two").rglob("*.xplane.pb"))


def test_tensorboard_projects_the_items(tensorboard, logdir, data_folder):
    run = f"two/{run_folder.TENSORBOARD_FOLDER}/projector"
    assert run in json.loads(tensorboard("plugin/projector/runs"))
    about = {"run": run, "name": validation_summaries.PROJECTOR_NAME}
    vectors = np.frombuffer(
        tensorboard("plugin/projector/tensor", **about), np.float32
    ).reshape(23, -1)
    header, *rows = (
        line.split("\t")
        for line in tensorboard("plugin/projector/metadata", **about)
        .decode()
        .splitlines()
    )
    assert header == ["item", "clicks"]
    clicks = [int(row[1]) for row in rows]
    assert clicks == sorted(clicks, reverse=True)
    manifest = folders.read_manifest(data_folder)
    assert sum(clicks) == manifest["splits"][schema.TRAIN]["clicks"]
    model = model_factory.load_run(logdir / "two")
    names = run_folder.read_vocabulary(logdir / "two")
    expected = np.array(model.item_vectors())[2:]
    for vector, (name, _) in zip(vectors, rows, strict=True):
        np.testing.assert_allclose(
            vector, expected[names.index(name)], rtol=1e-3, atol=1e-4
        )


def test_the_projector_gets_the_most_popular_items(tmp_path, monkeypatch):
    monkeypatch.setattr(validation_summaries, "MOST_ITEMS", 2)
    vectors = np.arange(6.0).reshape(3, 2)
    names = ["rare", "with\ttab", "liked"]
    validation_summaries.write_vectors(
        tmp_path, vectors, names, np.array([1, 2, 5])
    )
    written = [
        (tmp_path / name).read_text()
        for name in (
            validation_summaries.VECTORS_FILE,
            validation_summaries.METADATA_FILE,
        )
    ]
    assert written == ["4\t5\n2\t3\n", "item\tclicks\nliked\t5\nwith tab\t2\n"]


def test_tensorboard_compares_the_runs(tensorboard):
    groups = json.loads(
        tensorboard(
            "plugin/hparams/session_groups",
            {
                "experimentName": "",
                "allowedStatuses": ["STATUS_SUCCESS"],
                "startIndex": 0,
                "sliceSize": 10,
                "colParams": [{"hparam": "training.learning_rate"}],
            },
        )
    )["sessionGroups"]
    rates = {g["name"]: g["hparams"]["training.learning_rate"] for g in groups}
    assert rates == {"one": 0.005, "finished": 0.01}  # As trained
    metrics = [
        (metric["name"]["group"], metric["name"]["tag"])
        for metric in groups[0]["metricValues"]
    ]
    assert ("validation", "epoch_recall_at_20") in metrics
