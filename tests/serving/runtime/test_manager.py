"""What is loaded, when it goes, and what requests find meanwhile."""

import asyncio

import grpc
import pytest

from jump_tf import schema
from serving.protocol import errors
from serving.runtime import model_config
from tests.serving.small_servables import Memory
from tests.serving.small_servables import answering
from tests.serving.small_servables import config
from tests.serving.small_servables import managing
from tests.serving.small_servables import policy
from tests.serving.small_servables import spec
from tests.serving.small_servables import states
from tests.serving.small_servables import until

AVAILABLE = ("AVAILABLE", "")
END = ("END", "")


@pytest.fixture
def memory():
    return Memory()


@pytest.fixture
def base(tmp_path):
    """`tmp_path / "jump"`, with version 2."""
    base = tmp_path / "jump"
    (base / "2").mkdir(parents=True)
    return base


def refusal(manager, **wanted):
    with (
        pytest.raises(errors.ServingError) as caught,
        manager.use(spec(**wanted)),
    ):
        pass
    return caught.value.code.name, caught.value.details


def test_the_new_answers_before_the_old_goes(base, memory):
    async def run():
        async with managing(
            config({"base_path": str(base)}), memory
        ) as manager:
            assert answering(manager) == 2
            with memory.slow("jump", 3):
                (base / "3").mkdir()
                await until(lambda: 3 in states(manager))
                await until(lambda: states(manager)[3][0] == "LOADING")
                assert states(manager) == {3: ("LOADING", ""), 2: AVAILABLE}
                assert answering(manager) == 2
                assert refusal(manager, version=3) == (
                    "NOT_FOUND",
                    "Servable not found for request: Specific(jump, 3)",
                )
            await until(lambda: states(manager) == {3: AVAILABLE, 2: END})
            assert answering(manager) == answering(manager, version=3) == 3
            assert memory.versions == [("jump", 3)]
            assert list(states(manager)) == [3, 2]  # As TF Serving sorts them.

    asyncio.run(run())


def test_a_version_is_closed_after_its_last_user(base, memory):
    async def run():
        async with managing(
            config({"base_path": str(base)}), memory
        ) as manager:
            with manager.use(spec()) as slow, manager.use(spec()):
                (base / "3").mkdir()
                await until(lambda: states(manager)[2][0] == "UNLOADING")
                assert answering(manager) == 3
                assert refusal(manager, version=2)[0] == "NOT_FOUND"
                await slow.predict(None, None)
            assert slow in memory.held
            await until(lambda: states(manager)[2] == END)
            assert slow not in memory.held

    asyncio.run(run())


def test_a_version_that_comes_back_while_it_drains_is_loaded_anew(base, memory):
    async def run():
        one = config({"base_path": str(base)})
        async with managing(one, memory) as manager:
            with manager.use(spec()) as old:
                await manager.reload(config())
                assert refusal(manager)[0] == "NOT_FOUND"
                await manager.reload(one)
                assert answering(manager) == 2
                assert memory.versions == [("jump", 2), ("jump", 2)]
            await until(lambda: memory.versions == [("jump", 2)])
            assert old not in memory.held
            assert states(manager) == {2: AVAILABLE}

    asyncio.run(run())


def test_stop_waits_for_users(base, memory):
    async def run():
        async with managing(
            config({"base_path": str(base)}), memory
        ) as manager:
            with manager.use(spec()):
                stopping = asyncio.create_task(manager.stop())
                await asyncio.sleep(0.02)
                assert not stopping.done()
                assert memory.versions == [("jump", 2)]
            await stopping
            assert not memory.held

    asyncio.run(run())


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, [12]),
        (policy(latest={}), [12]),
        (policy(latest={"num_versions": 2}), [9, 12]),
        (policy(latest={"num_versions": 7}), [2, 9, 12]),
        (policy(all={}), [2, 9, 12]),
        (policy(specific={"versions": [9, 2, 4]}), [2, 9]),
    ],
)
def test_policies(base, memory, chosen, expected):
    for name in "9", "12", ".13-tmp", "14.tmp", "latest", "-15", "١٦", "0x11":
        (base / name).mkdir()
    (base / str(2**63)).mkdir()
    (base / "99").write_text("not a folder")

    async def run():
        one = config({"base_path": str(base), **chosen})
        async with managing(one, memory) as manager:
            await until(lambda: len(memory.held) == len(expected))
            assert memory.versions == [("jump", n) for n in expected]
            assert answering(manager) == expected[-1]
            assert sorted(states(manager)) == expected

    asyncio.run(run())


def test_the_highest_loads_first(base, memory):
    (base / "10").mkdir()

    async def run():
        one = config({"base_path": str(base), **policy(all={})})
        async with managing(one, memory) as manager:
            assert answering(manager) == 10
            await until(lambda: len(memory.held) == 2)
            assert memory.attempts == [("jump", 10), ("jump", 2)]

    asyncio.run(run())


def test_a_failure_is_tried_again_and_touches_nobody(base, memory):
    memory.broken["jump", 3] = 2

    async def run():
        async with managing(
            config({"base_path": str(base)}), memory
        ) as manager:
            (base / "3").mkdir()
            seen = []

            def loaded():
                assert answering(manager) in (2, 3)
                seen.append(states(manager).get(3))
                return seen[-1] == AVAILABLE

            await until(loaded)
            assert ("LOADING", "no SavedModel in 3") in seen
            assert memory.attempts[1:] == [("jump", 3)] * 3

    asyncio.run(run())


def test_a_version_that_never_loads_ends_with_its_error(base, memory):
    memory.broken["jump", 3] = 9

    async def run():
        one = config({"base_path": str(base)})
        async with managing(one, memory, load_retries=2) as manager:
            (base / "3").mkdir()
            failed = ("END", "no SavedModel in 3")
            await until(lambda: states(manager).get(3) == failed)
            (status,) = manager.status(spec(version=3))
            assert (
                status.status.error_code == grpc.StatusCode.NOT_FOUND.value[0]
            )
            assert len(memory.attempts) == 1 + 3
            await asyncio.sleep(0.03)  # Some polls.
            assert len(memory.attempts) == 1 + 3
            assert answering(manager) == 2
            # Gone and come back, it gets another chance.
            (base / "3").rmdir()
            await asyncio.sleep(0.03)
            memory.broken.clear()
            (base / "3").mkdir()
            await until(lambda: states(manager) == {3: AVAILABLE, 2: END})

    asyncio.run(run())


def test_a_version_that_goes_while_it_loads_is_given_up(base, memory):
    memory.broken["jump", 4] = 1

    async def run():
        one = config({"base_path": str(base), **policy(all={})})
        async with managing(one, memory, retry_seconds=60.0) as manager:
            with memory.slow("jump", 3):
                (base / "3").mkdir()
                await until(lambda: len(memory.attempts) == 2)
                (base / "3").rmdir()
                await asyncio.sleep(0.03)
            cancelled = ("END", "Loading of servable cancelled")
            await until(lambda: states(manager)[3] == cancelled)
            assert memory.versions == [("jump", 2)]
            # One that waits for its next attempt says why it waited.
            (base / "4").mkdir()
            await until(lambda: len(memory.attempts) == 3)
            (base / "4").rmdir()
            failed = ("END", "no SavedModel in 4")
            await until(lambda: states(manager)[4] == failed)

    asyncio.run(run())


def test_all_gone_is_all_unloaded(base, memory):
    async def run():
        async with managing(
            config({"base_path": str(base)}), memory
        ) as manager:
            (base / "2").rmdir()
            await until(lambda: not memory.held)
            assert refusal(manager) == (
                "NOT_FOUND",
                "Servable not found for request: Latest(jump)",
            )

    asyncio.run(run())


def test_a_base_path_that_cannot_be_read_changes_nothing(base, memory, caplog):
    async def run():
        async with managing(
            config({"base_path": str(base)}), memory
        ) as manager:
            base.rename(base.with_name("away"))
            await until(lambda: caplog.records)
            await asyncio.sleep(0.03)
            assert answering(manager) == 2
            base.with_name("away").rename(base)
            (base / "3").mkdir()
            await until(lambda: answering(manager) == 3)

    with caplog.at_level("WARNING", "serving.runtime.manager"):
        asyncio.run(run())
    (record,) = caplog.records  # Though it was looked at many times.
    assert f"Could not find base path {base}" in record.getMessage()


def test_no_polls(base, memory):
    async def run():
        one = config({"base_path": str(base)})
        async with managing(one, memory, poll_seconds=0) as manager:
            (base / "3").mkdir()
            await asyncio.sleep(0.03)
            assert answering(manager) == 2
            await manager.reload(one)
            await until(lambda: answering(manager) == 3)

    asyncio.run(run())


def test_new_names_are_picked_up(base, memory):
    models = base.parent

    def read():
        return model_config.config_of_folder(models)

    async def run():
        async with managing(
            read(), memory, read_config=read, config_poll_seconds=0.005
        ) as manager:
            (models / "heroes" / "5").mkdir(parents=True)
            (models / "empty").mkdir()
            await until(lambda: ("heroes", 5) in memory.versions)
            assert answering(manager) == 2
            # What somebody asked for holds until the folder says otherwise.
            await manager.reload(config({"base_path": str(base)}))
            await asyncio.sleep(0.03)
            assert refusal(manager, name="heroes")[0] == "NOT_FOUND"
            (models / "narm" / "7").mkdir(parents=True)
            await until(lambda: len(memory.versions) == 3)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda base: config(), "Received: no version"),
        (lambda base: config({"base_path": str(base / "2")}), "no version"),
        (lambda base: config({"base_path": str(base / "none")}), "base path"),
        (lambda base: config({"base_path": "jump"}), "an absolute path"),
    ],
)
def test_nothing_to_serve(base, memory, make, sentence):
    async def run():
        async with managing(make(base), memory):
            pass

    with pytest.raises(schema.InputError, match=sentence):
        asyncio.run(run())


def test_nothing_that_loads(base, memory):
    memory.broken = {("jump", 2): 1, ("heroes", 5): 1}
    (base.parent / "heroes" / "5").mkdir(parents=True)
    both = model_config.config_of_folder(base.parent)

    async def run():
        # The first attempt decides; nobody waits minutes for the second.
        async with managing(both, memory, retry_seconds=60.0):
            pass

    with pytest.raises(
        schema.InputError,
        match="heroes version 5: no SavedModel in 5; "
        "jump version 2: no SavedModel in 2",
    ):
        asyncio.run(run())


def test_one_of_two_is_enough_to_start(base, memory):
    memory.broken["heroes", 5] = 1
    (base.parent / "heroes" / "5").mkdir(parents=True)
    both = model_config.config_of_folder(base.parent)

    async def run():
        async with managing(both, memory) as manager:
            assert answering(manager) == 2
            await until(lambda: len(memory.held) == 2)

    asyncio.run(run())


def test_a_poll_is_not_negative(base, memory):
    async def run():
        async with managing(config(), memory, poll_seconds=-1.0):
            pass

    with pytest.raises(schema.InputError, match=r"at least 0\. Received: -1"):
        asyncio.run(run())
