"""What a run takes over from another one when the catalogue has changed."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest

from jump_tf import schema
from jump_tf import tasks
from jump_tf.cli import main as cli
from jump_tf.config.run import preset
from jump_tf.data import folders
from jump_tf.data import session_batches
from jump_tf.runs import folder as run_folder
from jump_tf.runs import model_factory
from jump_tf.train import optimizer
from jump_tf.train import trainer
from jump_tf.train import warm_start
from jump_tf.train.warm_start import WarmStart
from tests import evaluated
from tests import records

SMALL = (
    *("model.units=6", "model.micro_step_seconds=700", "training.epochs=1"),
    *("training.batch_sessions=80", "training.learning_rate=0.01"),
)
# The kinds of models whose variables with a row for each item differ.
KINDS = {
    "item head": ("paper", "model.item_bias=true"),
    "shared head": ("production", "model.negatives=9"),
}


def rename(data, folder, names):
    """The same sessions over other names; None drops an item.

    Args:
        data: a data folder.
        folder: to make.
        names: the vocabulary in its new order; old names keep their sessions.
    """
    old = folders.read_vocabulary(data / schema.VOCABULARY_FILE)
    number = {name: n for n, name in enumerate(names, schema.FIRST_ITEM_ID)}
    ids = [0, 1, *(number.get(name, schema.OOV_ID) for name in old)]
    shutil.copytree(data, folder)
    for split in schema.SPLITS:
        for file in folders.shards(data, split):
            sessions = [
                dataclasses.replace(s, items=[ids[item] for item in s.items])
                for s in records.read_sessions([file])
            ]
            records.write_sessions(
                file.replace(str(data), str(folder)), sessions
            )
    (folder / schema.VOCABULARY_FILE).write_text("\n".join(names) + "\n")
    manifest = json.loads((folder / schema.MANIFEST_FILE).read_text())
    manifest["num_items"] = len(names)
    (folder / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module", params=KINDS)
def source(request, data_folder, tmp_path_factory):
    """A finished run of one epoch."""
    name, *options = KINDS[request.param]
    run = tmp_path_factory.mktemp("source") / "run"
    config = preset(name).override([*SMALL, *options])
    tasks.train(config, data_folder, run, verbose=0)
    return run


@pytest.fixture(scope="module")
def names(data_folder):
    return folders.read_vocabulary(data_folder / schema.VOCABULARY_FILE)


@pytest.fixture(scope="module")
def shuffled(data_folder, names, tmp_path_factory):
    """The same log with other ids for the items."""
    folder = tmp_path_factory.mktemp("shuffled") / "data"
    order = np.random.default_rng(5).permutation(len(names))
    return rename(data_folder, folder, [names[n] for n in order])


@pytest.fixture(scope="module")
def changed(data_folder, names, tmp_path_factory):
    """Two items gone, three come, and other ids for the rest."""
    folder = tmp_path_factory.mktemp("changed") / "data"
    return rename(
        data_folder,
        folder,
        ["new-0", *names[:3:-1], "new-1", "new-2", names[0]],
    )


def started(source, data, **options):
    """A model over `data` as it is before its first step."""
    start = WarmStart(source, **options)
    names = warm_start.vocabulary(data, start)
    config = tasks.with_data(run_folder.read_config(source), data)
    model = tasks.build_model(config, data, len(names))
    optimizer.compile_model(model, config.training)
    start.take_over(model, names, trainer.compiled)
    return model, names


def restored(source):
    """The source as it ended."""
    return started(source, run_folder.read_data_folder(source))[0]


def rows(model):
    """Every variable that has a row for each item, and its moments."""
    named = {v.path: np.array(v) for v in model.item_variables}
    for slot in model.optimizer.variables:
        if len(slot.shape) and slot.shape[0] == model.vocabulary_size:
            named[slot.name] = np.array(slot)
    return named


@pytest.mark.exhaustive
def test_item_variables_are_all_that_grow_with_the_catalogue(source):
    """Built at an odd size, which no other axis has."""
    model = trainer.compiled(run_folder.read_config(source), 1231)
    of_data = {id(weight) for weight in model.data_weights}
    grown = {
        weight.path
        for weight in model.weights
        if id(weight) not in of_data and 1231 + 2 in weight.shape
    }
    assert grown == {weight.path for weight in model.item_variables}


def test_rows_and_moments_move_with_their_items(source, changed, names):
    before, (model, new_names) = restored(source), started(source, changed)
    assert len(rows(model)) == 3 * len(model.item_variables)
    assert rows(model).keys() == rows(before).keys()
    for name, table in rows(model).items():
        old = rows(before)[name]
        assert np.abs(old[2:]).max() > 0, name
        np.testing.assert_array_equal(table[:2], old[:2])
        for item in set(names) & set(new_names):
            np.testing.assert_array_equal(
                table[2 + new_names.index(item)], old[2 + names.index(item)]
            )
        if name.endswith(warm_start.SLOTS):
            for item in set(new_names) - set(names):
                assert not table[2 + new_names.index(item)].any()
    new = [2 + new_names.index(f"new-{n}") for n in range(3)]
    assert len(np.unique(np.array(model.items.embeddings)[new], axis=0)) == 3
    assert int(model.optimizer.iterations) == int(before.optimizer.iterations)
    assert int(before.optimizer.iterations) > 0


def test_the_sampler_counts_the_new_data(source, shuffled, names):
    model, new_names = started(source, shuffled)
    counts = session_batches.item_counts(shuffled, len(new_names))
    rates = np.exp(np.array(model.sampler.log_rates))[2:]
    np.testing.assert_allclose(
        rates / rates.max(),
        (counts[2:] / counts.max()) ** model.sampler.power,
        rtol=1e-4,
    )


def test_a_start_on_the_same_data_is_where_the_source_ended(
    source, data_folder
):
    """Against the weights that the source saved, not through our own code."""
    model, best = restored(source), model_factory.load_run(source)
    for ours, theirs in zip(model.weights, best.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


def test_other_ids_for_the_same_items_change_no_prediction(
    source, shuffled, data_folder
):
    model, _ = started(source, shuffled)
    ours = evaluated.quick_metrics(model, shuffled)
    theirs = evaluated.quick_metrics(
        model_factory.load_run(source), data_folder
    )
    assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("source", ["item head"], indirect=True)
def test_unchanged_data_trains_as_the_source_would_have(
    source, data_folder, shuffled, tmp_path
):
    """Ids are only names: what follows a start does not depend on them."""
    config = run_folder.read_config(source)
    ends = []
    for data in (data_folder, shuffled):
        run = tmp_path / data.parent.name
        tasks.train(config, data, run, warm_start=WarmStart(source), verbose=0)
        ends.append(run_folder.read_history(run)[0])
    for name in ends[0].keys() - {"training_seconds"}:
        assert ends[0][name] == pytest.approx(ends[1][name], rel=1e-3), name


@pytest.mark.parametrize("source", ["item head"], indirect=True)
def test_kept_items_are_still_recommended(source, changed, names, tmp_path):
    """By the command, which takes the configuration of the source."""
    run = tmp_path / "run"
    arguments = [
        *("train", "--data", changed, "--run", run, "--warm-start", source),
        *("--removed-items", "keep", "--set", "training.patience=7"),
    ]
    assert cli.main([str(argument) for argument in arguments]) == 0
    config = run_folder.read_config(run)
    assert config.model == run_folder.read_config(source).model
    assert config.training.patience == 7
    origin = {"run": str(source.resolve()), "removed_items": "keep"}
    assert run_folder.read_warm_start(run) == origin
    present = folders.read_vocabulary(changed / schema.VOCABULARY_FILE)
    gone = [name for name in names if name not in present]
    assert len(gone) == 3
    assert run_folder.read_vocabulary(run) == present + gone
    model = model_factory.load_run(run)
    assert model.vocabulary_size == 2 + len(present) + len(gone)
    scores = np.array(model.click_scores(np.ones((1, 6), "float32")))
    assert np.isfinite(scores[0, 2:]).all()
    run_folder.check_vocabulary(run, changed)
    result = evaluated.evaluate(model, changed, replicates=2)
    assert result["num_predictions"] > 0
    tasks.train(config, changed, run, resume=True, verbose=0)


@pytest.mark.parametrize("source", ["item head"], indirect=True)
def test_dropped_items_are_gone(source, changed):
    _, names = started(source, changed)
    assert names == folders.read_vocabulary(changed / schema.VOCABULARY_FILE)


class Killed(BaseException):
    pass


class KillAtOnce(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        variables = self.model.weights + self.model.optimizer.variables
        self.state = [np.array(variable) for variable in variables]
        raise Killed


@pytest.mark.parametrize("source", ["shared head"], indirect=True)
def test_a_killed_warm_start_resumes_warm(source, changed, tmp_path):
    """Before its first step, and after the source is gone."""
    run, moved = tmp_path / "run", tmp_path / "source"
    shutil.copytree(source, moved)
    states = []
    for start in ({"warm_start": WarmStart(moved)}, {"resume": True}):
        kill = KillAtOnce()
        with pytest.raises(Killed):
            tasks.train(
                *(run_folder.read_config(source), changed, run),
                callbacks=[kill],
                **start,
            )
        states.append(kill.state)
        shutil.rmtree(moved, ignore_errors=True)
    for begun, resumed in zip(*states, strict=True):
        np.testing.assert_array_equal(begun, resumed)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(schema.InputError, match="must be given a run that has"):
        tasks.train(run_folder.read_config(run), changed, run, resume=True)


@pytest.mark.parametrize("source", ["item head"], indirect=True)
def test_what_does_not_fit_is_refused(source, data_folder, tmp_path, capsys):
    train = ["train", "--data", data_folder, "--run", tmp_path / "run"]

    def refused(*arguments):
        code = cli.main([str(a) for a in (*train, *arguments)])
        assert code == 2
        assert not (tmp_path / "run").exists()
        return capsys.readouterr().err

    warm = ("--warm-start", source)
    assert "model.units=7 instead of 6" in refused(
        *warm, "--set", "model.units=7"
    )
    assert "no config.yaml" in refused("--warm-start", tmp_path / "nowhere")
    empty = tmp_path / "empty"
    shutil.copytree(source, empty)
    shutil.rmtree(empty / "checkpoints")
    assert "has no checkpoint" in refused("--warm-start", empty)
    with pytest.raises(
        schema.InputError, match="`removed_items` must be one of"
    ):
        WarmStart(source, removed_items="hide")
