"""Configurations that replace each other, and labels; codes and texts."""

import asyncio

import pytest
from tensorflow_serving.config import model_server_config_pb2

from jump_tf import schema
from serving.protocol import errors
from serving.protocol import text_protos
from tests.serving.small_servables import Memory
from tests.serving.small_servables import answering
from tests.serving.small_servables import config
from tests.serving.small_servables import managing
from tests.serving.small_servables import policy
from tests.serving.small_servables import spec
from tests.serving.small_servables import states
from tests.serving.small_servables import until

NOT_AVAILABLE = (
    "FAILED_PRECONDITION",
    "Request to assign label to version {} of model jump, which is not "
    "currently available for inference",
)


@pytest.fixture
def memory():
    return Memory()


@pytest.fixture
def models(tmp_path):
    for folder in "jump/2", "jump/3", "heroes/5":
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def jump(models):
    """All versions of jump."""
    return {"base_path": str(models / "jump"), **policy(all={})}


@pytest.fixture
def heroes(models):
    return {"name": "heroes", "base_path": str(models / "heroes")}


async def refused(manager, new):
    with pytest.raises(errors.ServingError) as caught:
        await manager.reload(new)
    return caught.value.code.name, caught.value.details


def test_the_whole_set_is_replaced(memory, jump, heroes):
    async def run():
        async with managing(config(jump), memory) as manager:
            await until(lambda: len(memory.held) == 2)
            await manager.reload(config(heroes))
            assert answering(manager, name="heroes") == 5
            await until(lambda: memory.versions == [("heroes", 5)])
            assert set(states(manager).values()) == {("END", "")}
            one = {**jump, **policy(specific={"versions": [2]})}
            await manager.reload(config(heroes, one))
            assert answering(manager) == 2
            await manager.reload(config())
            await until(lambda: not memory.held)

    asyncio.run(run())


WRONG = [
    (
        lambda jump: model_server_config_pb2.ModelServerConfig(),
        "ServerModelConfig type not supported by HandleReloadConfigRequest. "
        "Only ModelConfigList is currently supported",
    ),
    (
        lambda jump: config(jump, jump),
        "Illegal to list model jump multiple times in config list",
    ),
    (
        lambda jump: config({**jump, "base_path": "models/jump"}),
        "Expected model jump to have an absolute path or URI; got "
        "base_path()=models/jump",
    ),
    (
        lambda jump: config({**jump, "base_path": "/no/such/folder"}),
        "Could not find base path /no/such/folder for servable jump with "
        "error No such file or directory",
    ),
    (
        lambda jump: config({**jump, "model_platform": ""}),
        "Illegal setting neither ModelServerConfig::model_type (deprecated) "
        "nor ModelServerConfig::model_platform, model name is jump",
    ),
    (
        lambda jump: config({**jump, "model_type": "TENSORFLOW"}),
        "Illegal setting both ModelServerConfig::model_type (deprecated) and "
        "ModelServerConfig::model_platform, model name is jump",
    ),
    (
        lambda jump: config(
            {**jump, "model_platform": "", "model_type": "OTHER"}
        ),
        "ModelServerConfig::model_type choice 2 not supported.",
    ),
    (
        lambda jump: config({**jump, "model_platform": "torch"}),
        "Model jump requests unsupported platform torch",
    ),
]


@pytest.mark.parametrize(("make", "text"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_one_changes_nothing(memory, models, jump, heroes, make, text):
    async def run():
        labelled = {**jump, "version_labels": {"stable": 2}}
        async with managing(config(jump), memory) as manager:
            await until(lambda: len(memory.held) == 2)
            await manager.reload(config(labelled))
            wrong = make(jump)
            if wrong.model_config_list.config:
                wrong.model_config_list.config.add(
                    model_platform="tensorflow", **heroes
                )
            assert await refused(manager, wrong) == ("INVALID_ARGUMENT", text)
            assert memory.versions == [("jump", 2), ("jump", 3)]
            assert answering(manager, label="stable") == 2
            # Polls go on with the old one.
            (models / "jump" / "4").mkdir()
            await until(lambda: answering(manager) == 4)
            assert ("heroes", 5) not in memory.attempts

    asyncio.run(run())


def test_a_deprecated_model_type_is_a_platform(memory, jump):
    async def run():
        old = config({**jump, "model_platform": "", "model_type": "TENSORFLOW"})
        async with managing(old, memory) as manager:
            assert answering(manager) == 3

    asyncio.run(run())


def test_a_new_model_is_awaited(memory, jump, heroes):
    async def run():
        async with managing(config(jump), memory) as manager:
            with memory.slow("heroes", 5):
                task = asyncio.create_task(manager.reload(config(jump, heroes)))
                await asyncio.sleep(0.03)
                assert not task.done()
                assert answering(manager) == 3
            await task
            assert answering(manager, name="heroes") == 5

    asyncio.run(run())


def test_a_new_model_that_does_not_load(memory, jump, heroes):
    memory.broken["heroes", 5] = 9

    async def run():
        async with managing(config(jump), memory, load_retries=1) as manager:
            assert await refused(manager, config(jump, heroes)) == (
                "UNKNOWN",
                "1 model(s) did not become available: {{{name: heroes "
                "version: 5} due to error: NOT_FOUND: no SavedModel in 5}, }",
            )
            assert answering(manager) == 3

    asyncio.run(run())


def test_labels(memory, models, jump):
    def labels(**versions):
        return config({**jump, "version_labels": versions})

    async def run():
        async with managing(config(jump), memory) as manager:
            await until(lambda: len(memory.held) == 2)
            await manager.reload(labels(stable=2, canary=3))
            assert answering(manager, label="stable") == 2
            assert answering(manager, label="canary") == 3
            assert answering(manager) == 3
            # A label moves once its new version is there, and not before.
            code, text = NOT_AVAILABLE
            moved = labels(stable=3, canary=4)
            assert await refused(manager, moved) == (code, text.format(4))
            assert answering(manager, label="stable") == 2
            with memory.slow("jump", 4):
                (models / "jump" / "4").mkdir()
                await until(lambda: states(manager).get(4) == ("LOADING", ""))
                assert (await refused(manager, moved))[0] == code
            await until(lambda: answering(manager) == 4)
            await manager.reload(moved)
            assert answering(manager, label="stable") == 3
            assert answering(manager, label="canary") == 4
            await manager.reload(labels(stable=3))
            with pytest.raises(
                errors.ServingError,
                match="INVALID_ARGUMENT: Unrecognized servable version label: "
                "canary",
            ):
                answering(manager, label="canary")

    asyncio.run(run())


@pytest.mark.parametrize("allowed", [False, True])
def test_labels_of_what_is_not_there_yet(memory, jump, allowed):
    def labels(**versions):
        return config({**jump, "version_labels": versions})

    async def run():
        async with managing(
            labels(stable=3), memory, labels_for_unavailable=allowed
        ) as manager:
            assert answering(manager, label="stable") == 3
            await manager.reload(labels(stable=3, next=9))
            with pytest.raises(errors.ServingError, match=r"ific\(jump, 9\)"):
                answering(manager, label="next")
            # A label that is in use is never moved to nothing.
            code, text = NOT_AVAILABLE
            moved = labels(stable=9, next=9)
            assert await refused(manager, moved) == (code, text.format(9))

    if allowed:
        asyncio.run(run())
    else:
        with pytest.raises(schema.InputError, match="label to version 3 of"):
            asyncio.run(run())


def test_the_file_is_polled(memory, models, jump, heroes, tmp_path, caplog):
    path = tmp_path / "models.config"

    def read():
        return text_protos.read_model_config(path)

    async def run():
        path.write_text(str(config(jump)))
        async with managing(
            read(), memory, read_config=read, config_poll_seconds=0.005
        ) as manager:
            path.write_text("model_config_list { config { nmae:")
            await until(lambda: caplog.records)
            assert answering(manager) == 3
            # A label of a version that is still to come is given in time.
            path.write_text(
                str(config({**jump, "version_labels": {"stable": 7}}, heroes))
            )
            await until(lambda: len(caplog.records) == 2)
            assert "label to version 7" in caplog.records[1].getMessage()
            assert ("heroes", 5) not in memory.attempts
            (models / "jump" / "7").mkdir()
            await until(lambda: ("heroes", 5) in memory.versions)
            assert answering(manager, label="stable") == 7

    with caplog.at_level("WARNING", "serving.runtime.manager"):
        asyncio.run(run())


def test_status_texts(memory, jump):
    async def run():
        async with managing(config(jump), memory) as manager:
            await until(lambda: len(memory.held) == 2)
            (status,) = manager.status(spec(version=2))
            assert (status.version, status.state) == (2, status.AVAILABLE)
            assert status.HasField("status")
            # A label says nothing here, as in TF Serving.
            assert len(manager.status(spec(label="none"))) == 2
            for wanted, text in [
                ({"version": 9}, "Could not find version 9 of model jump"),
                ({"name": "x"}, "Could not find any versions of model x"),
                ({"name": ""}, "Could not find any versions of model "),
            ]:
                with pytest.raises(errors.ServingError) as caught:
                    manager.status(spec(**wanted))
                assert caught.value.code.name == "NOT_FOUND"
                assert caught.value.details == text

    asyncio.run(run())


@pytest.mark.parametrize(
    ("wanted", "code", "text"),
    [
        ({"name": ""}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            {"name": "x"},
            "NOT_FOUND",
            "Servable not found for request: Latest(x)",
        ),
        (
            {"name": "x", "version": 0},
            "NOT_FOUND",
            "Servable not found for request: Specific(x, 0)",
        ),
        (
            {"version": 9},
            "NOT_FOUND",
            "Servable not found for request: Specific(jump, 9)",
        ),
        (
            {"name": "x", "label": "stable"},
            "INVALID_ARGUMENT",
            "Unrecognized servable version label: stable",
        ),
        (
            {"label": ""},
            "INVALID_ARGUMENT",
            "Unrecognized servable version label: ",
        ),
    ],
)
def test_lookup_texts(memory, jump, wanted, code, text):
    async def run():
        async with managing(config(jump), memory) as manager:
            with pytest.raises(errors.ServingError) as caught:
                answering(manager, **wanted)
            assert caught.value.code.name == code
            assert caught.value.details == text

    asyncio.run(run())
