"""What is shipped for other runners, as far as one machine can try it."""

import dataclasses
import json
import pathlib
import re
import shutil
import tarfile

import pytest
from apache_beam.options import pipeline_options
from apache_beam.runners.portability import stager

from beam_jobs import build_sessions
from beam_jobs.deploy import flex_template
from beam_jobs.options import sessions as session_options
from jump_tf import schema
from jump_tf.cli import main as cli
from tests import pretend_store

ROOT = pathlib.Path(__file__).parents[3]
DEPLOY = ROOT / "beam_jobs" / "deploy"
LOG = ROOT / "beam_jobs/tfds/recsys15/dummy_data/yoochoose-clicks.dat"
FIELDS = {
    field.name: field
    for field in dataclasses.fields(session_options.PrepareOptions)
}
LIKELY = {  # A value of each parameter whose default the flags do not tell.
    "format": "csv",
    "input": "gs://bucket/log.csv gs://bucket/more.csv.gz",
    "output": "gs://bucket/data",
    "overwrite": "true",
    "merge_repeats": "true",
    "k_core": "true",
    "validation_days": "0.5",
    "until": "2026-01-31",
    "session_gap": "1800",
    "max_session_length": "50",
    "visitor_column": "who",
    "dwell_column": "seconds",
    "columns": "who what when seconds",
    "item_column": "what",
    "time_column": "when",
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def prepare(output, *beam_arguments, log=str(LOG)):
    request = session_options.PrepareOptions("yoochoose", (log,), str(output))
    build_sessions.run(request, beam_arguments)


@pytest.fixture(scope="module")
def parameters():
    metadata = json.loads((DEPLOY / "metadata.json").read_text())
    assert set(metadata) == {"name", "description", "parameters"}
    named = {each["name"]: each for each in metadata["parameters"]}
    assert len(named) == len(metadata["parameters"])
    return named


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The files of the data folder that the local runner makes."""
    folder = tmp_path_factory.mktemp("made") / "data"
    prepare(folder)
    return contents(folder)


def test_the_template_s_parameters_are_described(parameters):
    for parameter in parameters.values():
        optional = set(parameter) - {"name", "label", "helpText"}
        assert len(set(parameter) - optional) == 3
        assert optional <= {"isOptional", "regexes"}
        assert parameter["helpText"].endswith(".")
        assert all(map(re.compile, parameter.get("regexes", [])))


def test_the_template_s_parameters_are_the_flags(parameters, capsys):
    with pytest.raises(SystemExit):
        cli.main(["prepare", "--help"])
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert set(parameters) == set(FIELDS)
    assert {f"--{name.replace('_', '-')}" for name in parameters} <= flags
    for name, field in FIELDS.items():
        required = field.default is dataclasses.MISSING
        assert parameters[name].get("isOptional", False) == (not required)


def test_the_template_takes_what_the_options_take(parameters):
    values = {
        name: LIKELY.get(name, field.default) for name, field in FIELDS.items()
    }
    given = {name: value for name, value in values.items() if value is not None}
    for name, value in given.items():
        for regex in parameters[name].get("regexes", []):
            assert re.fullmatch(regex, str(value))
    for log_format in session_options.FORMATS:
        assert re.fullmatch(parameters["format"]["regexes"][0], log_format)
    argv = [f"--{name}={value}" for name, value in given.items()]
    request, rest = flex_template.parse([*argv, "--runner=DataflowRunner"])
    assert rest == ["--runner=DataflowRunner"]
    assert request.input == tuple(LIKELY["input"].split())
    assert request.columns == ("who", "what", "when", "seconds")
    assert request.overwrite
    assert request.merge_repeats and request.k_core
    assert request.validation_days == 0.5
    assert (request.session_gap, request.max_session_length) == (1800.0, 50)
    assert request.min_item_clicks == FIELDS["min_item_clicks"].default


def test_the_template_s_job_makes_the_same_folder(made, tmp_path):
    argv = ["--format=yoochoose", f"--input={LOG}", "--overwrite=false"]
    code = flex_template.main([*argv, f"--output={tmp_path / 'data'}"])
    assert code == 0
    assert contents(tmp_path / "data") == made


def test_the_template_refuses_a_wrong_request(tmp_path, capsys):
    argv = ["--format=yoochoose", f"--input={LOG}", "--min_item_clicks=0"]
    code = flex_template.main([*argv, f"--output={tmp_path / 'data'}"])
    assert code == 2
    assert "`min_item_clicks` must be at least 1" in capsys.readouterr().err


def test_the_template_s_job_fails_with_the_work(tmp_path):
    argv = ["--format=yoochoose", f"--input={tmp_path / 'no.dat'}"]
    with pytest.raises(Exception, match="`input` must name files that exist"):
        flex_template.main([*argv, f"--output={tmp_path / 'data'}"])
    assert list(tmp_path.iterdir()) == []


def test_the_work_is_a_job_of_its_own():
    given = [
        "--region=here",
        "--template_location=gs://t",
        "--job_name",
        "shop",
    ]
    work = flex_template.for_the_work(given)
    assert work == ["--region=here", "--job_name=shop-work"]
    assert flex_template.for_the_work(["--region=here"]) == ["--region=here"]


def test_the_image_copies_what_there_is():
    text = (DEPLOY / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
    names = [name for line in copied for name in line.split()[:-1]]
    assert {"setup.py", "beam_jobs", "jump_tf"} <= set(names)
    assert all((ROOT / name).exists() for name in names)
    (program,) = re.findall(r"PY_FILE=/template/(.+)$", text, re.MULTILINE)
    assert (ROOT / program).samefile(flex_template.__file__)
    setup = (ROOT / "setup.py").read_text()
    (beam,) = re.findall(r"BEAM_VERSION=(.+)", text)
    assert f'"apache-beam~={beam}"' in setup
    (python,) = re.findall(r"^FROM python:(.+)-slim", text, re.MULTILINE)
    assert f"beam_python{python}_sdk" in text
    assert f"python{python.replace('.', '')}-template-launcher" in text
    assert f'python_requires=">={python}"' in setup


def test_a_remote_log_makes_the_same_remote_folder(made, tmp_path, monkeypatch):
    monkeypatch.setattr(pretend_store.PretendStore, "root", str(tmp_path))
    (tmp_path / "log.dat").write_bytes(LOG.read_bytes())
    bucket = pretend_store.BUCKET
    prepare(f"{bucket}/data", log=f"{bucket}/log.dat")
    there = contents(tmp_path / "data")
    assert set(there) == set(made)
    for name in set(made) - {schema.MANIFEST_FILE}:  # It names the log.
        assert there[name] == made[name]


def test_a_job_server_makes_the_same_folder(made, tmp_path):
    """As Flink's and Spark's job servers do, over the same protocol."""
    prepare(
        tmp_path / "data",
        "--runner=PortableRunner",
        "--job_endpoint=embed",
        "--environment_type=LOOPBACK",
    )
    assert contents(tmp_path / "data") == made


def test_workers_can_install_the_package(tmp_path):
    """What `--setup_file ./setup.py` sends to them holds all of it."""
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("beam_jobs", "jump_tf", "serving"):
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=unwanted)
    staged = tmp_path / "staged"
    staged.mkdir()
    stager.Stager.create_job_resources(
        pipeline_options.PipelineOptions(
            [f"--setup_file={tmp_path / 'setup.py'}"]
        ),
        str(staged),
    )
    (package,) = staged.glob("*.tar.gz")
    with tarfile.open(package) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("beam_jobs", "jump_tf"):
        modules = (tmp_path / name).rglob("*.py")
        assert {str(path.relative_to(tmp_path)) for path in modules} <= held
    assert "beam_jobs/tfds/cikm16/README.md" in held
    assert "jump_tf/config/presets/paper.yaml" in held
