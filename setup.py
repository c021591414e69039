"""Package of jump_tf; tool settings live in pyproject.toml.

A real setup.py because remote Beam workers take `--setup_file ./setup.py`.
"""

import pathlib
import re

import setuptools

HERE = pathlib.Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+?)"', (HERE / "jump_tf" / "__init__.py").read_text()
)[1]

BEAM = [
    "apache-beam~=2.77.0",
    "google-crc32c~=1.9",  # Beam's TFRecord sink fails without a CRC library.
]
SERVING = [
    "grpcio~=1.85",
    "tensorflow-serving-api~=2.21.0",
]
REPORT = ["matplotlib~=3.11"]
TUNE = ["optuna~=5.0"]
TEST = ["jax~=0.10.2", "pytest>=8,<10", "scipy~=1.17"]
DEV = [
    "import-linter~=2.16",
    "mypy~=2.4",
    "ruff~=0.17.5",
    "types-PyYAML~=6.0",
]

setuptools.setup(
    name="jump-tf",
    version=VERSION,
    description="What a visitor clicks next, and how long they stay: JUMP.",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=setuptools.find_packages(
        include=["jump_tf*", "beam_jobs*", "serving*"]
    ),
    package_data={
        "jump_tf": ["plans/*.yaml", "presets/*.yaml", "spaces/*.yaml"],
    },
    install_requires=[
        "keras~=3.15.0",
        "numpy~=2.4",
        "pyyaml~=6.0",
        "tensorboard~=2.21",
        "tensorflow~=2.21.0",
    ],
    extras_require={
        "beam": BEAM,
        "gcp": [*BEAM, "apache-beam[gcp]~=2.77.0"],
        "serving": SERVING,
        "report": REPORT,
        "tune": TUNE,
        "test": TEST,
        "dev": DEV,
        "all": [*BEAM, *SERVING, *REPORT, *TUNE, *TEST, *DEV],
    },
    entry_points={"console_scripts": ["jump-tf = jump_tf.cli:main"]},
)
