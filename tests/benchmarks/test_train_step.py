import pytest

from tests.benchmarks import train_step

SMALL = (
    "--units=4 --batch-clicks=20 --length=3 --items=30 --negatives=5 --steps=2"
)


@pytest.mark.parametrize(
    "model",
    ["gru4rec", pytest.param("jump", marks=pytest.mark.exhaustive)],
)
def test_it_says_how_fast_and_how_near_to_the_peak(model, capsys):
    train_step.main([*SMALL.split(), "--model", model])
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{model}, tensorflow on ")
    assert first.endswith("float32, 10 sessions of 3 clicks")
    assert second.endswith("clicks/s")
    assert "% of the" in third


def test_useful_work_is_counted_by_hand():
    arguments = train_step._parser().parse_args(SMALL.split())
    inputs = {"dwell_seconds": train_step.np.float32([[9, 201], [2000, 400]])}
    encoder = 4 * 4**2 * ((5 + 1) + (5 + 2) + (5 + 10) + (5 + 2))
    attention = 2 * 2 * (1 + 2) * 2 * 4
    softmax = 6 * 2 * 4 * 5
    head = 6 * 2 * ((4 + 4 + 4) * 64 + (4 + 4 + 4) + 64 * 3)
    counted = train_step.jump(arguments).forward_flops(inputs)
    assert counted == encoder + attention + softmax + head
    counted = train_step.gru4rec(arguments).forward_flops(inputs)
    assert counted == 4 * 12 * 4**2 + softmax
