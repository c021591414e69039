import argparse

import numpy as np
import pytest

from jump_tf import schema
from serving.cli import predict as predict_command
from tests.serving import fake_service


def predict(*flags):
    parser = argparse.ArgumentParser()
    predict_command.add_predict_arguments(parser)
    return predict_command.run_predict(parser.parse_args(flags))


def test_prints_a_table(address, capsys):
    flags = ["--items", "item-1,item-2", "--dwell", "12,", "--elapsed", "5"]
    assert predict("--address", address, *flags, "--top", "3") == 0
    head, *rows, page, end = capsys.readouterr().out.splitlines()
    assert head.split() == ["rank", "item", "probability", "dwell,", "seconds"]
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    assert all("(10%-90%: " in row for row in rows)
    assert page.startswith("The page on screen: ")
    assert end.startswith("The session ends on it with probability 0.")


def test_a_session_may_be_empty(address, capsys):
    assert predict("--address", address, "--model", "jump") == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_no_server_is_exit_code_one(capsys):
    flags = ["--items", "item-1", "--timeout", "5"]
    assert predict("--address", "127.0.0.1:1", *flags) == 1
    printed = capsys.readouterr()
    assert not printed.out
    assert "127.0.0.1:1 did not answer: UNAVAILABLE" in printed.err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--items", "a", "--dwell", "x"], "`--dwell` must be numbers"),
        (["--items", "a", "--dwell", "1,2"], "must not be longer than"),
        (["--items", "a", "--model", "jmup"], "Servable not found"),
    ],
)
def test_wrong_requests_are_input_errors(address, flags, sentence):
    with pytest.raises(schema.InputError, match=sentence):
        predict("--address", address, *flags)


def test_filters_and_what_is_left_of_the_page(capsys):
    asked = {}

    def answer(spec, inputs):
        asked.update(inputs)
        return {
            **fake_service.outputs_of([12.0]),
            "page_remaining_quantiles_seconds": np.float32([[3, 80]]),
            "session_end_probability": np.float32([0.25]),
        }

    flags = ["--items", "a,b", "--exclude-seen", "--allow", "x,y", "--deny=z"]
    with fake_service.serving(answer) as address:
        assert predict("--address", address, *flags) == 0
    assert asked["exclude_seen"].tolist() == [True]
    assert asked["allow"].tolist() == [[b"x", b"y"]]
    assert asked["deny"].tolist() == [[b"z"]]
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "The page on screen: 12 s in all (median); left of it 10%-90%: 3-80.",
        "The session ends on it with probability 0.2500.",
    ]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--tls-key", "a"], "must come with `--tls-root`. Received: a, None"),
        (["--tls-root", "none.pem"], "must be readable. Received: none.pem"),
    ],
)
def test_wrong_tls_flags(flags, sentence):
    with pytest.raises(schema.InputError, match=sentence):
        predict("--address", "127.0.0.1:1", *flags)
