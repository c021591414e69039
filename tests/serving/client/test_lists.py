"""Lists of shown items through the embedded server."""

import argparse
import functools

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.tasks import export_model
from serving import warmup
from serving.cli import predict as predict_command
from serving.client import lists as list_client
from serving.client import warmup_requests
from serving.server import Server
from serving.settings import Settings
from tests.jump_tf.export.test_list_signatures import SHOWN
from tests.jump_tf.export.test_list_signatures import VOCABULARY
from tests.small_list_models import FIELDS
from tests.small_list_models import make_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    export_model(
        make_model("heroes"),
        VOCABULARY,
        folder,
        name="heroes",
        finish=functools.partial(
            warmup.write_warmup_requests,
            requests=functools.partial(
                warmup_requests.list_requests, num_fields=FIELDS
            ),
        ),
    )
    return folder


@pytest.fixture(scope="module")
def address(folder):
    with Server.of_folder(folder, Settings(port=0, rest_port=-1)) as server:
        yield server.address


@pytest.fixture
def client(address):
    with list_client.ListClient(
        address, "heroes", timeout_seconds=30.0
    ) as client:
        yield client


def test_lists_of_a_batch_are_scored_as_alone(client):
    together = client.score(SHOWN)
    for shown, scores in zip(SHOWN, together, strict=True):
        assert len(scores) == len(shown.features)
        alone = client.score([shown])[0]
        for mine, theirs in zip(scores, alone, strict=True):
            assert mine.click_probability == pytest.approx(
                theirs.click_probability, rel=1e-5
            )
            assert mine.click_conversion_probability == pytest.approx(
                mine.click_probability * mine.conversion_probability, rel=1e-5
            )


def test_feedback_changes_what_comes_after_it(client):
    features = SHOWN[0].features
    scores = [
        client.score([list_client.ShownItems(features, clicked)])[0]
        for clicked in ([0.0], [1.0])
    ]
    assert scores[0][0] == scores[1][0]
    assert scores[0][1] != scores[1][1]


def test_every_signature_is_warmed_up(folder):
    requests = list(warmup.read_warmup_requests(folder / "heroes" / "1"))
    asked = {request.model_spec.signature_name for request in requests}
    assert asked == {schema.SERVING_DEFAULT, schema.EXAMPLES}
    assert {request.model_spec.name for request in requests} == {"heroes"}


def test_a_request_that_does_not_fit_is_refused(client):
    with pytest.raises(schema.InputError, match="of each of 2 fields"):
        client.score([list_client.ShownItems([["a"], ["b"]])])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([["a"], []],), "Every item must have a feature"),
        (([["a"], [""]],), "Every item must have a feature"),
        (([["a"]], [1, 0]), "`clicked` must not be longer"),
        (([["a"]], (), [1, 2]), "`offset_seconds` must not be longer"),
        (([["a", "b"]], (), (), [[1.0]]), "`feature_values` must have"),
    ],
)
def test_lists_that_make_no_sense_are_refused(arguments, sentence):
    with pytest.raises(schema.InputError, match=sentence):
        list_client.ShownItems(*arguments)


def test_values_reach_the_arrays():
    shown = list_client.ShownItems(
        [["a"], ["b", "c"]], feature_values=[[2], [3, 4]]
    )
    arrays = list_client.to_arrays([shown, SHOWN[1]])
    np.testing.assert_array_equal(
        arrays[schema.FEATURE_VALUES], [[[2, 1], [3, 4]], [[1, 1], [1, 1]]]
    )
    np.testing.assert_array_equal(
        arrays[schema.FEATURES][1], [["field=3", "field=3"], ["", ""]]
    )


def test_the_command_prints_a_score_for_each_item(address, capsys):
    code = predict_command.run_predict(
        commands_arguments(
            *("--address", address, "--model", "heroes", "--clicked", "1,"),
            *("--shown", "field=0,field=4;field=7,field=2;new,field=9"),
        )
    )
    out = capsys.readouterr().out
    assert code == 0
    assert len(out.splitlines()) == 4
    assert "field=7, field=2" in out


def commands_arguments(*argv):
    parser = argparse.ArgumentParser()
    predict_command.add_predict_arguments(parser)
    return parser.parse_args(argv)
