"""The READMEs are true: sizes, links, commands, and the front page as a whole.

A block of the front page that needs what is not here has a line above it,
`<!-- needs: ... -->`. All others are run, in order, in one folder.
"""

import argparse
import csv
import dataclasses
import datetime
import importlib.util
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

from jump_tf.cli import main as cli
from jump_tf.config import run as configs

ROOT = pathlib.Path(__file__).parents[1]
FRONT = ROOT / "README.md"
FOLDERS = ("jump_tf", "beam_jobs", "serving", "serving/deploy")
READMES = [
    FRONT,
    *(ROOT / folder / "README.md" for folder in FOLDERS),
    ROOT / "tests" / "benchmarks" / "README.md",
]
MOST_LINES, MOST_COLUMNS = 220, 100
TASKS = ("sessions", "lists")
OF_BEAM = ("prepare", "demo")  # Verbs that also take Beam's flags.
OF_BENCHMARKS = ("--gru4rec-pytorch",)
GRPC, REST = "127.0.0.1:8500", "127.0.0.1:8501"

_BLOCK = re.compile(
    r"^(?:<!-- needs: (?P<needs>[^\n]+) -->\n)?"
    r"```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`]+)`")
_FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")

of_each = pytest.mark.parametrize(
    "readme", READMES, ids=lambda path: str(path.parent.relative_to(ROOT))
)


class Block(NamedTuple):
    """A fenced block, and what its reader must have."""

    language: str
    text: str
    needs: str | None


def blocks(readme):
    return [
        Block(found["language"], found["text"], found["needs"])
        for found in _BLOCK.finditer(readme.read_text())
    ]


def prose(readme):
    """The text without its fenced blocks."""
    return _BLOCK.sub("", readme.read_text())


def spans(readme):
    """What is quoted as code within the prose, each on one line."""
    return [" ".join(text.split()) for text in _SPAN.findall(prose(readme))]


def commands(readme):
    """Lines of all shell blocks, and quoted code; continued lines joined."""
    texts = [b.text for b in blocks(readme) if b.language == "sh"]
    lines = "\n".join(texts).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip()] + spans(readme)


def anchors(readme):
    """The headings as the sites that render Markdown name them."""
    headings = re.findall(r"^#+ (.+)$", prose(readme), re.MULTILINE)
    names = [
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    ]
    assert len(set(names)) == len(names)
    return names


def flags(parser):
    return {
        flag for action in parser._actions for flag in action.option_strings
    }


def verbs():
    """Verb -> its flags, for whatever task."""
    found = {}
    for task in TASKS:
        parser = cli.make_parser(task)
        (choices,) = (
            action.choices
            for action in parser._actions
            if isinstance(action, argparse._SubParsersAction)
        )
        for verb, of_verb in choices.items():
            found.setdefault(verb, set()).update(flags(of_verb))
    return found


def beam_flags():
    pipeline_options = pytest.importorskip(
        "apache_beam.options.pipeline_options"
    )
    known = pipeline_options.PipelineOptions([]).get_all_options()
    return {f"--{name}" for name in known}


def stream_flags():
    from beam_jobs.options import streaming

    parser = argparse.ArgumentParser()
    streaming.add_arguments(parser)
    return flags(parser)


def test_the_front_page_is_short():
    assert len(FRONT.read_text().splitlines()) <= MOST_LINES


@of_each
def test_lines_of_prose_fit_a_screen(readme):
    lines = prose(readme).splitlines()
    assert [
        line
        for line in lines
        if len(line) > MOST_COLUMNS and not line.startswith("|")
    ] == []


@of_each
def test_links_lead_somewhere(readme):
    for link in _LINK.findall(prose(readme)):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (readme.parent / path).resolve() if path else readme
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@of_each
def test_the_commands_exist(readme):
    known = verbs()
    for command in commands(readme):
        found = re.search(r"(?<![\w-])jump-tf ([a-z][a-z-]*)(.*)", command)
        if not found:
            continue
        verb, rest = found.groups()
        assert verb in known, command
        unknown = set(_FLAG.findall(rest)) - known[verb] - {"--help"}
        if unknown and verb in OF_BEAM:
            unknown -= beam_flags()
        assert unknown == set(), command


@of_each
def test_the_flags_of_streams_exist(readme):
    for command in commands(readme):
        if "beam_jobs.stream_sessions" in command:
            given = set(_FLAG.findall(command))
            assert given - stream_flags() - beam_flags() == set(), command


@of_each
def test_flags_in_prose_belong_to_a_verb(readme):
    known = set().union(*verbs().values(), stream_flags(), OF_BENCHMARKS)
    for span in spans(readme):
        flag = re.match(r"--[a-z][\w-]*", span)
        # With underscores they are those of Beam or TensorFlow Serving.
        if flag and "_" not in flag[0]:
            assert flag[0] in known, span


@of_each
def test_modules_targets_and_extras_exist(readme):
    text = "\n".join(commands(readme))
    for name in re.findall(r"python -m ([\w.]+)", text):
        assert importlib.util.find_spec(name), name
    makefile = (ROOT / "Makefile").read_text()
    for name in re.findall(r"^make ([a-z][a-z-]*)", text, re.MULTILINE):
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name
    setup = (ROOT / "setup.py").read_text()
    for name in re.findall(r"\.\[(\w+)\]", text):
        assert f'"{name}": ' in setup, name


@of_each
def test_settings_and_presets_exist(readme):
    kinds = (configs.TrainingConfig, *configs.ARCHITECTURES.values())
    names = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    text = "\n".join(
        [b.text for b in blocks(readme) if b.language == "yaml"]
        + commands(readme)
    )
    assert set(re.findall(r"\b(?:model|training)\.(\w+)", text)) <= names
    for name in re.findall(r"--preset ([a-z]\w+)", text):
        assert configs.preset(name)


def test_the_front_page_names_every_preset():
    quoted = set(spans(FRONT))
    shipped = (ROOT / "jump_tf" / "config" / "presets").glob("*.yaml")
    assert {path.stem for path in shipped} <= quoted


def test_blocks_of_the_front_page_are_run_or_say_what_they_need():
    found = blocks(FRONT)
    assert FRONT.read_text().count("\n```\n") == len(found)
    assert FRONT.read_text().count("<!-- needs:") == sum(
        block.needs is not None for block in found
    )
    ours = [block for block in found if block.language in ("sh", "python")]
    assert len([block for block in ours if block.needs is None]) == 4


def write_log(path):
    """Visitors who mostly go on to the next item; some come back later."""
    random = np.random.default_rng(0)
    start = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("visitor", "item", "time"))
        for visitor in range(300):
            time = start + datetime.timedelta(minutes=float(visitor))
            item = int(random.integers(40))
            for click in range(8):
                seconds = 7200.0 if click == 4 else random.lognormal(4.0)
                time += datetime.timedelta(seconds=float(seconds))
                jump = 1 if random.random() < 0.7 else random.integers(40)
                item = int(item + jump) % 40
                writer.writerow(
                    (f"v{visitor}", f"sku-{item}", time.isoformat())
                )


class Reader:
    """Does what the front page says; at its end stops the server.

    Args:
        folder: where to work.
        capsys: pytest's.
    """

    def __init__(self, folder, capsys):
        self.folder = folder
        self.capsys = capsys
        self.server = None
        self.addresses = {}

    def run(self, block):
        """Runs a block; returns what it prints."""
        text = block.text
        for printed, address in self.addresses.items():
            text = text.replace(printed, address)
        if block.language == "python":
            exec(compile(text, str(FRONT), "exec"), {"__name__": "readme"})
            return self.capsys.readouterr().out
        lines = text.replace("\\\n", " ").splitlines()
        if not lines[0].startswith("jump-tf "):
            return self._shell(text)
        return "".join(self._command(line) for line in lines)

    def stop(self):
        if self.server is not None:
            self.server.terminate()
            self.server.wait(30)
            self.server.stdout.close()

    def _command(self, line):
        for printed, address in self.addresses.items():
            line = line.replace(printed, address)
        words = shlex.split(line, comments=True)
        assert words.pop(0) == "jump-tf"
        if words[-1] == "&":
            self._serve(words[:-1])
            return ""
        if words[0] == "train":
            words += ["--set", "training.epochs=1"]
        assert cli.main(words) == 0, self.capsys.readouterr().err
        return self.capsys.readouterr().out

    def _serve(self, words):
        errors = self.folder / "server.log"
        with errors.open("w") as log:
            self.server = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jump_tf.cli", *words),
                    *("--port", "0", "--rest-port", "0"),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        for said in self.server.stdout:
            what, _, address = said.strip().partition(" at ")
            if what == "REST":
                self.addresses[REST] = address
            if what == "serving":
                self.addresses[GRPC] = address
                return
        raise AssertionError(errors.read_text())

    def _shell(self, text):
        if shutil.which(text.split()[0]) is None:
            return None
        done = subprocess.run(
            ["bash", "-c", text],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            check=True,
        )
        return done.stdout


def test_the_front_page_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_log(tmp_path / "log.csv")
    wanted = [
        block
        for block in blocks(FRONT)
        if block.language in ("sh", "python") and block.needs is None
    ]
    reader = Reader(tmp_path, capsys)
    try:
        seven, client, curl, stubs = map(reader.run, wanted)
    finally:
        reader.stop()
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    sessions = sum(part["sessions"] for part in manifest["splits"].values())
    assert sessions > 500  # Cut at the pause of two hours, most of them.
    assert (tmp_path / "run" / "report.html").is_file()
    assert (tmp_path / "models" / "jump" / "1" / "saved_model.pb").is_file()
    assert "markov" in seven
    assert "rank  item" in seven
    assert len(client.splitlines()) == 5
    assert all(line.startswith("sku-") for line in client.splitlines())
    if curl is not None:
        (answer,) = json.loads(curl)["predictions"]
        assert sum(answer["probabilities"]) <= 1.0 + 1e-5
    assert "b'sku-" in stubs
