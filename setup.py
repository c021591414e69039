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

BEAM = ["apache-beam~=2.77.0", "pyarrow~=25.0"]
SERVING = [
    "aiohttp~=3.14",
    "grpcio~=1.85",
    "grpcio-health-checking>=1.75,<2",  # The newest wants what Beam refuses,
    "grpcio-reflection>=1.75,<2",  # protobuf 7; pip finds the one that fits.
    "prometheus-client~=0.26",
    "tensorflow-serving-api~=2.21.0",
]
EVALUATE = ["scikit-learn~=1.9"]  # Boosting, a baseline of the dwell.
REPORT = ["matplotlib~=3.11"]
TFDS = [
    *BEAM,
    "importlib_resources~=7.1",  # Two that tensorflow-datasets needs and does
    "mlcroissant~=1.1",  # not name.
    "tensorflow-datasets~=4.9.10",
]
TUNE = ["optuna~=5.0"]
INDEX = ["faiss-cpu~=1.15"]
# All that a user needs.
RUN = [*BEAM, *SERVING, *EVALUATE, *REPORT, *TUNE, *INDEX]
TEST = [
    "cryptography~=50.0",
    "dill~=0.4.1",  # For the test case of tensorflow-datasets.
    "duckdb~=2.0",
    "hypothesis~=6.170",
    "jax~=0.10.2",
    "kubernetes-validate~=1.37",
    "pytest>=8,<10",
    "pytest-xdist~=3.8",
    "scipy~=1.17",
]
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
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    keywords="recommender session dwell survival keras tensorflow beam",
    python_requires=">=3.11",
    packages=setuptools.find_packages(
        include=["jump_tf*", "beam_jobs*", "serving*"]
    ),
    package_data={
        "serving": ["playground/*", "py.typed"],
        "beam_jobs": [
            "py.typed",
            "tfds/*/*.bib",
            "tfds/*/*.md",
            "tfds/*/*.txt",
        ],
        "jump_tf": ["py.typed"],
        "jump_tf.config": ["presets/*.yaml"],
        "jump_tf.experiments.reproduction": ["plans/*.yaml"],
        "jump_tf.train": ["spaces/*.yaml"],
    },
    install_requires=[
        "google-crc32c~=1.9",
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
        "evaluate": EVALUATE,
        "report": REPORT,
        "tfds": TFDS,
        "tune": TUNE,
        "index": INDEX,
        "test": TEST,
        "dev": DEV,
        "run": RUN,
        "all": [*RUN, *TFDS, *TEST, *DEV],
    },
    entry_points={"console_scripts": ["jump-tf = jump_tf.cli.main:main"]},
)
