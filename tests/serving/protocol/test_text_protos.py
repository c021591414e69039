import pytest

from jump_tf import schema
from serving.protocol import text_protos

BATCHING = """
max_batch_size { value: 64 }  # Rows.
batch_timeout_micros { value: 0 }
thread_pool_name { value: "größe" }
enable_large_batch_splitting { value: false }
allowed_batch_sizes: 8
allowed_batch_sizes: 64
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "some.config"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_batching_parameters(written):
    read = text_protos.read(written(BATCHING), text_protos.BatchingParameters())
    assert read.max_batch_size.value == 64
    assert read.thread_pool_name.value == "größe"
    assert list(read.allowed_batch_sizes) == [8, 64]
    # Zero and false are not the same as left out.
    assert read.HasField("batch_timeout_micros")
    assert read.HasField("enable_large_batch_splitting")
    assert not read.HasField("num_batch_threads")


@pytest.mark.parametrize(
    ("kind", "text", "wire"),
    [
        ("BatchingParameters", "max_batch_size { value: 64 }", "0a020840"),
        ("BatchingParameters", "batch_timeout_micros { value: 5 }", "12020805"),
        ("BatchingParameters", "max_enqueued_batches { value: 5 }", "1a020805"),
        ("BatchingParameters", "num_batch_threads { value: 5 }", "22020805"),
        ("BatchingParameters", 'thread_pool_name { value: "a" }', "2a030a0161"),
        ("BatchingParameters", "allowed_batch_sizes: [2, 7]", "32020207"),
        ("BatchingParameters", "pad_variable_length_inputs: true", "3801"),
        (
            "BatchingParameters",
            "enable_large_batch_splitting { value: true }",
            "42020801",
        ),
        (
            "BatchingParameters",
            "max_execution_batch_size { value: 5 }",
            "4a020805",
        ),
        ("SSLConfig", 'server_key: "k" server_cert: "c"', "0a016b120163"),
        ("SSLConfig", 'custom_ca: "a" client_verify: true', "1a01612001"),
        (
            "MonitoringConfig",
            'prometheus_config { enable: true path: "/m" }',
            "0a06080112022f6d",
        ),
    ],
)
def test_numbers_are_tf_servings(written, kind, text, wire):
    message = text_protos.read(written(text), getattr(text_protos, kind)())
    assert message.DESCRIPTOR.full_name == f"tensorflow.serving.{kind}"
    assert message.SerializeToString().hex() == wire


def test_a_model_config(written):
    text = (
        'model_config_list { config { name: "jump" base_path: "/models/jump" '
        'version_labels { key: "stable" value: 3 } } }'
    )
    (model,) = text_protos.read_model_config(
        written(text)
    ).model_config_list.config
    assert dict(model.version_labels) == {"stable": 3}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "# Rows.\nmax_batch: 64",
            'line 2: Message type "tensorflow.serving.BatchingParameters" has '
            'no field named "max_batch".',
        ),
        ("max_batch_size: 64", 'line 1: Expected "{".'),
        ("max_batch_size { value: 64 ", 'line 1: Expected "}".'),
        (
            "pad_variable_length_inputs: true\n" * 2,
            'line 2: Message type "tensorflow.serving.BatchingParameters" '
            'should not have multiple "pad_variable_length_inputs" fields.',
        ),
        ("max_batch_size { value: 1e30 }", "line 1: Couldn't parse integer"),
        (b"\xff", "invalid start byte at byte 0"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(written, text, reason):
    path = written(text)
    with pytest.raises(schema.InputError) as caught:
        text_protos.read(path, text_protos.BatchingParameters())
    assert str(caught.value) == (
        f"The file must be a text proto BatchingParameters. Received: {path}, "
        f"{reason}"
    )


@pytest.mark.parametrize(
    "text",
    [
        'server_cert: "a"\nserver_key: "SECRET\n',
        'server_key: "SECRET": 1',
        "server_key: SECRET",
        'server_key: "SECRET" server_key: "SECRET"',
    ],
)
def test_no_key_is_quoted(written, text):
    with pytest.raises(schema.InputError, match="line ") as caught:
        text_protos.read(written(text), text_protos.SSLConfig())
    assert "SECRET" not in str(caught.value)


def test_a_type_that_nobody_knows(written):
    path = written("custom_model_config { [type.googleapis.com/x.y] { } }")
    with pytest.raises(schema.InputError, match=r"x\.y not found"):
        text_protos.read_model_config(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(schema.InputError, match="No such file or directory"):
        text_protos.read(tmp_path / "none", text_protos.SSLConfig())
