"""What the serving benchmark says of what it measured."""

import numpy as np
import pytest

from serving.client.client import Client
from serving.client.client import Session
from tests.benchmarks import serving
from tests.benchmarks import serving_setup
from tests.benchmarks import serving_soak
from tests.benchmarks.serving_setup import Check


@pytest.mark.parametrize(
    ("value", "limit", "missed"),
    [
        (7.0, 7.0, False),
        (7.1, 7.0, True),
        (9.9, None, False),
        (float("nan"), 7.0, True),  # Nothing was answered.
    ],
)
def test_what_is_missed_is_said(value, limit, missed):
    check = Check("p90, ms", value, limit)
    assert check.missed is missed
    assert ("MISSED" in str(check)) is missed


def test_memory_is_flat_where_it_only_jumps_for_moments():
    seconds = np.arange(0.0, 600.0, 0.5)
    resident = 1000.0 + 300.0 * (seconds % 20 < 3)  # Two versions at a time.
    resident[seconds < 60] *= np.linspace(0.5, 1.0, 120)
    level, slope = serving_soak.trend(seconds, resident)
    assert level == 1000.0
    assert abs(slope) < 1e-9
    level, slope = serving_soak.trend(seconds, resident + 2.0 * seconds)
    assert slope == pytest.approx(2.0, rel=0.05)
    assert level == pytest.approx(1000 + 2 * 360, rel=0.1)


def test_a_new_version_takes_the_place_of_the_oldest(tmp_path):
    (tmp_path / "9").mkdir()
    (tmp_path / "9" / "saved_model.pb").write_text("model")
    for last in (10, 11, 12):
        serving_soak.add_version(tmp_path)
        kept = {str(max(last - 1, 9)), str(last)}
        assert {path.name for path in tmp_path.iterdir()} == kept
        assert (tmp_path / str(last) / "saved_model.pb").read_text() == "model"


@pytest.mark.exhaustive
def test_fuzz_and_lone_requests_against_a_server(data_folder, tmp_path):
    models = tmp_path / "models"
    version = serving_setup.write_model(
        models, data_folder, num_items=31, units=6
    )
    vocabulary = (version / "assets" / "vocabulary.txt").read_text().split()
    assert vocabulary[:2] == ["item-0", "item-1"]
    assert vocabulary[23:] == [f"made-up-{n}" for n in range(8)]
    checks = list(serving.fuzz(models, data_folder, 60))
    assert [check.value for check in checks] == [0, 0]
    with serving_setup.serve(models) as server:
        flags = ["--data", str(data_folder), "--rate", "20"]
        times = ["--duration", "0.5", "--warm-up", "0"]
        found = serving_setup.load(server.address, *flags, *times)
        assert found["results"][0]["statuses"] == {"OK": 10}
        rest = serving_setup.load(
            server.http_address, *flags, *times, "--protocol", "rest"
        )
        assert rest["results"][0]["statuses"] == {"OK": 10}
        with Client(server.address) as client:
            assert client.answer([Session(["made-up-1"])])


def test_a_server_that_does_not_start_says_why():
    command = ["sh", "-c", "echo no room >&2; exit 1"]
    with (
        pytest.raises(RuntimeError, match=r"must start\. It said: no room"),
        serving_setup.running(command),
    ):
        pass
