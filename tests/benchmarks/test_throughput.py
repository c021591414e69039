import json
import sys

import pytest

from jump_tf import schema
from tests.benchmarks import throughput
from tests.conftest import SESSIONS

SMALL = (
    "--units=4 --negatives=5 --epochs=2 --recall=0.01 "
    "--set training.batch_sessions=50 model.seed=1"
)
# What `official_gru4rec` uses of PyTorch, pandas and the official code. Its
# model predicts always the same item, and says what it was given.
OFFICIAL = {
    "torch": """
import json
__version__ = "0"
class cuda:
    is_available = lambda: False
device, manual_seed, get_num_threads = str, int, int
set_flush_denormal = bool
load = lambda path: json.loads(path.read_text())
save = lambda state, path: path.write_text(json.dumps(state))
""",
    "pandas": """
import csv
__version__ = "0"
class read_csv:
    def __init__(self, path, sep):
        with open(path, newline="") as file:
            self.rows = list(csv.DictReader(file, delimiter=sep))
    def __getitem__(self, name):
        return Column(row[name] for row in self.rows)
class Column(list):
    def nunique(self):
        return len(set(self))
""",
    "gru4rec_pytorch": """
class SessionDataIterator:
    def __init__(self, data, batch_size):
        self.data, self.batch_size = data, batch_size
    def __call__(self):
        items = self.data["ItemId"]
        yield from range(0, len(items), self.batch_size)
class GRU4Rec:
    def __init__(self, layers, n_sample, n_epochs, device, **options):
        assert (layers, n_sample) == ([4], 5)
        self.n_epochs, self.device, self.model = n_epochs, device, self
        self.updates, self.batch_size = 0, options["batch_size"]
    def fit(self, data, compatibility_mode):
        iterator = SessionDataIterator(data, self.batch_size)
        for _ in range(self.n_epochs):
            for _ in iterator():
                self.updates += 1
    def state_dict(self):
        return {"updates": self.updates}
    def load_state_dict(self, state):
        self.updates = state["updates"]
""",
    "evaluation": """
def batch_eval(gru, data, cutoff, batch_size, mode):
    assert mode == "conservative" and batch_size == 57
    return {20: gru.updates / len(data["ItemId"])}, None
""",
}


def trained(name, seconds, recalls):
    epochs = [
        {"seconds": taken, "recall_at_20": recall}
        for taken, recall in zip(seconds, recalls, strict=True)
    ]
    return throughput.Training(name, epochs, 3 * throughput.MIB, {})


def clicks(sessions, split):
    return sum(len(session) for session in sessions[split])


def test_the_first_epoch_counts_for_the_recall_but_not_for_the_rate():
    made = trained("jump", [9.0, 2.0, 5.0, 3.0], [0.1, 0.3, 0.6, 0.5])
    assert made.epoch_seconds == 3.0
    assert made.recall == 0.6
    assert made.seconds_to(0.1) == 9.0
    assert made.seconds_to(0.5) == 16.0
    assert made.seconds_to(0.7) is None
    assert trained("jump", [9.0], [0.1]).epoch_seconds == 9.0


def test_the_table_compares_with_our_own_gru():
    trainings = [
        trained("jump", [9.0, 4.0], [0.1, 0.3]),
        trained("gru4rec", [8.0, 1.0], [0.1, 0.2]),
    ]
    split = {"clicks": 12_000, "sessions": 4000}
    result = throughput.summary(trainings, split, 0.3)
    header, jump, gru = throughput.table(result).splitlines()
    assert header.split()[-5:] == ["MiB", "s", "to", "0.3", "recall@20"]
    assert jump.split() == [
        *("jump", "3,000", "2,000", "0.25"),
        *("3", "13.0", "0.3000"),
    ]
    assert gru.split()[:4] == ["gru4rec", "12,000", "8,000", "1.00"]
    assert "not reached" in gru
    alone = throughput.table(throughput.summary(trainings[:1], split, 0.3))
    assert alone.splitlines()[1].split()[3] == "-"


@pytest.mark.exhaustive
def test_the_numbers_of_real_trainings_agree(
    data_folder, sessions, tmp_path, capsys
):
    output = tmp_path / "result.json"
    throughput.main(
        ["--data", str(data_folder), "--output", str(output), *SMALL.split()]
    )
    result = json.loads(output.read_text())
    assert list(result["models"]) == ["jump", "gru4rec"]
    assert capsys.readouterr().out.endswith(throughput.table(result) + "\n")
    expected = clicks(sessions, schema.TRAIN)
    for name, model in result["models"].items():
        first, second = model["epochs"]
        rate = model["clicks_per_second"]
        assert rate * second["seconds"] == pytest.approx(expected)
        assert model["events_per_second"] * second["seconds"] == pytest.approx(
            expected - SESSIONS[schema.TRAIN]
        )
        assert model["seconds_to_recall"] == first["seconds"]
        assert model["recall_at_20"] > 0.01
        assert 100 < model["peak_mib"] < 10_000
        assert f"architecture: {name}" in model["about"]["config"]
        for line in ("units: 4", "negatives: 5", "batch_sessions: 50"):
            assert f"  {line}\n" in model["about"]["config"]
        assert "tensorflow" in model["about"]["versions"]


def test_the_official_code_is_given_the_same_clicks(
    data_folder, sessions, tmp_path
):
    for name, code in OFFICIAL.items():
        (tmp_path / f"{name}.py").write_text(code)
    command = [
        *("--data", str(data_folder), *SMALL.split(), "--peer-epochs=3"),
        *("--gru4rec-pytorch", str(tmp_path), "--peer-python", sys.executable),
    ]
    arguments = throughput._parser().parse_args(command)
    made = throughput.train_official(arguments)
    batches = -(-clicks(sessions, schema.TRAIN) // 64)
    evaluated = clicks(sessions, schema.VALIDATION)
    assert [epoch["recall_at_20"] for epoch in made.epochs] == [
        pytest.approx(epoch * batches / evaluated) for epoch in (1, 2, 3)
    ]
    assert all(epoch["seconds"] > 0 for epoch in made.epochs)
    assert made.about["options"]["logq"] == 1.0


def test_the_export_keeps_the_order_of_clicks(data_folder, sessions, tmp_path):
    path = tmp_path / "validation.tsv"
    throughput.export(data_folder, schema.VALIDATION, path)
    header, *rows = path.read_text().splitlines()
    assert header.split("\t") == ["SessionId", "ItemId", "Time"]
    numbers = [[int(cell) for cell in row.split("\t")] for row in rows]
    # Whole sessions one after the other, in time: it need not sort them.
    assert numbers == sorted(numbers, key=lambda row: (row[0], row[2]))
    expected = sorted(
        [item - schema.FIRST_ITEM_ID for item in session.items]
        for session in sessions[schema.VALIDATION]
    )
    exported = {}
    for session, item, _ in numbers:
        exported.setdefault(session, []).append(item)
    assert sorted(exported.values()) == expected
