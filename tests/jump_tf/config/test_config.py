import dataclasses

import pytest

from jump_tf import schema
from jump_tf.config import run as configs


def test_yaml_there_and_back(tmp_path):
    config = configs.Config().override(
        ["model.units=7", "model.dwell_scale=null", "training.epochs=3"]
    )
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml())
    assert configs.load(path) == config
    assert (config.model.units, config.model.dwell_scale) == (7, None)


def test_override_leaves_the_rest_alone():
    before = configs.Config()
    after = before.override(["model.dropout=0.25"])
    assert after == dataclasses.replace(
        before, model=dataclasses.replace(before.model, dropout=0.25)
    )


def test_whole_numbers_are_taken_for_floats():
    assert configs.JumpConfig(click_scale=12).click_scale == 12.0
    assert isinstance(configs.JumpConfig(click_scale=12).click_scale, float)
    changed = configs.Config().override(["training.learning_rate=1e-3"])
    assert changed.training.learning_rate == 0.001


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("model.unitz=3", "with a name of .*Received: model.unitz=3"),
        ("units=3", "section.name=value"),
        ("model.units", "section.name=value"),
        ("model.units=big", "`units` must be of type int. .*'big'"),
        ("model.units=0", "`units` must be at least 1. Received: units=0"),
        ("model.units=[", "must give a value in YAML. Received: model.units"),
        ("model.dwell_weight=.nan", "`dwell_weight` must be at least 0"),
        ("model.dropout=1", r"`dropout` must be a rate in \[0, 1\)"),
        ("model.dwell_scale=-1", "`dwell_scale` must be positive"),
        ("model.dwell_head=deep", "`dwell_head` must be one of"),
        ("model.end_weight=1", "must be off unless `dwell_head` is 'shared'"),
        ("model.click_loss=hinge", "`click_loss` must be one of"),
        (
            "model.click_loss=bpr_max",
            "`negatives` must be at least 1 for click_loss='bpr_max'. "
            "Received: negatives=0",
        ),
        (
            "model.negatives=7",
            "`negatives` must be 0 for click_loss='softmax'. "
            "Received: negatives=7",
        ),
        ("model.bpr_regularization=-1", "`bpr_regularization` must be at"),
        ("model.bpr_elu=0", "`bpr_elu` must be positive and finite"),
        ("model.gbce_calibration=1.1", r"`gbce_calibration` must be in \[0"),
        ("training.learning_rate=0", "`learning_rate` must be positive"),
        ("training.schedule=linear", "`schedule` must be one of"),
        ("training.precision=float16", "`precision` must be one of"),
        ("training.jit_compile=1", "`jit_compile` must be of type bool"),
        ("training.epochs=true", "`epochs` must be of type int"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(assignment, sentence):
    with pytest.raises(schema.InputError, match=sentence):
        configs.Config().override([assignment])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("model: {units: 3, depth: 2}", "Received: model: .'depth'"),
        ("models: {}", "must hold only"),
        ("- 3", "must be a mapping"),
        ("a: [", "must be a YAML file"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, sentence):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(schema.InputError, match=sentence):
        configs.load(path)


def test_presets():
    paper = configs.preset("paper")
    assert paper.model == configs.JumpConfig()
    assert paper.training.batch_sessions == 100
    assert configs.preset("production") != paper
    with pytest.raises(
        schema.InputError, match=r"one of .*'paper', 'production'"
    ):
        configs.preset("best")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(schema.InputError, match="must be a YAML file"):
        configs.load(tmp_path / "none.yaml")
