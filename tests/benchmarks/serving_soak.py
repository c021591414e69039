"""Load for a long time while the model is swapped: nothing fails, or grows."""

import dataclasses
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterator

import numpy as np

from serving.client.client import Client
from tests.benchmarks import processes
from tests.benchmarks import serving_setup
from tests.benchmarks.serving_setup import Check

MIB = 2**20
SHARE = 0.8  # Of the capacity.
KEPT = 2  # Versions that stay; older ones are removed.
_SAMPLE_SECONDS = 0.5
_SETTLING = 0.2  # Of the soak: caches fill, and allocators take their pools.
GROWTH = 0.05  # Of the memory, over the rest: what is called flat.


@dataclasses.dataclass(frozen=True)
class Soak:
    """How long and how hard.

    Attributes:
        seconds: of the soak.
        swap_seconds: between new versions.
        ramp: FROM,TO,STEP of the rates among which the capacity is found.
        ramp_seconds: at each of them.
        slo_p99_ms: that the capacity must hold.
    """

    seconds: float = 600.0
    swap_seconds: float = 20.0
    ramp: str = "100,4000,100"
    ramp_seconds: float = 5.0
    slo_p99_ms: float = 100.0


def soak(
    models: pathlib.Path, data: pathlib.Path, settings: Soak
) -> Iterator[Check]:
    """Finds the capacity, then asks for 80 % of it while versions come and go.

    Raises:
        RuntimeError: the server holds not even the first rate.
    """
    with tempfile.TemporaryDirectory(dir=models.parent) as folder:
        mine = pathlib.Path(folder) / "models"
        _link(models, mine)
        with serving_setup.serve(mine) as server:
            capacity = _capacity(server.address, data, settings)
            if not capacity:
                raise RuntimeError("The first rate of the ramp must be held.")
            rate = SHARE * capacity
            print(f"\nsoak at {rate:g} requests/s", flush=True)
            started = serving_setup.start_load(
                server.address,
                *("--data", str(data), "--rate", str(rate)),
                *("--duration", str(settings.seconds)),
            )
            memory, swaps = _swap(
                mine / serving_setup.NAME,
                server.process.pid,
                started[0],
                settings.swap_seconds,
            )
            (result,) = serving_setup.finish_load(started)["results"]
            last = _versions(mine / serving_setup.NAME)[-1]
            served = _served(server.address)
    yield Check("capacity, requests/s", capacity)
    yield Check(f"failed requests at {rate:g}/s", result["errors"], 0)
    yield Check("  versions added meanwhile", swaps)
    yield Check("  versions behind at the end", int(last.name) - served, 1)
    yield Check("  p99, ms", result["latency_ms"]["p99"])
    level, slope = trend(*memory)
    yield Check("  resident memory, MiB", level / MIB)
    yield Check("  its slope, MiB a minute", 60 * slope / MIB)
    yield Check(
        "  its growth over the soak, a share",
        slope * settings.seconds / level,
        GROWTH,
    )


def trend(seconds: np.ndarray, resident: np.ndarray) -> tuple[float, float]:
    """The level in bytes and the slope in bytes a second, once it is settled.

    A line through the medians of tenths: while two versions are in memory it
    is more, for moments.
    """
    settled = seconds >= seconds[0] + _SETTLING * np.ptp(seconds)
    parts = [
        (np.median(times), np.median(sizes))
        for times, sizes in zip(
            np.array_split(seconds[settled], 10),
            np.array_split(resident[settled], 10),
            strict=True,
        )
        if len(times)
    ]
    times, sizes = np.transpose(parts)
    slope = np.polyfit(times, sizes, 1)[0] if len(times) > 1 else 0.0
    return float(np.median(sizes)), float(slope)


def _capacity(address, data, settings) -> float:
    print("\nramp to the capacity", flush=True)
    return serving_setup.load(
        address,
        *("--data", str(data), "--ramp", settings.ramp),
        *("--duration", str(settings.ramp_seconds)),
        *("--slo-p99-ms", str(settings.slo_p99_ms)),
    )["held"]


def _swap(base, pid, load, swap_seconds):
    """New versions until the load ends; the memory of the server meanwhile."""
    seconds, resident = [], []
    start = time.monotonic()
    swaps = 0
    while load.poll() is None:
        elapsed = time.monotonic() - start
        if elapsed >= (swaps + 1) * swap_seconds:
            swaps += 1
            add_version(base)
        seconds.append(elapsed)
        resident.append(processes.tree_bytes(pid))
        time.sleep(_SAMPLE_SECONDS)
    return (np.array(seconds), np.array(resident)), swaps


def add_version(base: pathlib.Path) -> None:
    """The last version once more under the next number; removes old ones."""
    *_, last = versions = _versions(base)
    partial = base / f".{last.name}-next"
    _link(last, partial)
    partial.rename(base / str(int(last.name) + 1))
    for old in versions[: 1 - KEPT]:
        shutil.rmtree(old)


def _versions(base) -> list[pathlib.Path]:
    numbers = sorted(int(p.name) for p in base.iterdir() if p.name.isdecimal())
    return [base / str(number) for number in numbers]


def _link(source, target) -> None:
    """A copy that takes no room, as nothing writes into a version."""
    shutil.copytree(source, target, copy_function=os.link)


def _served(address) -> int:
    with Client(address, serving_setup.NAME) as client:
        states = client.status()
    return max(v for v, state in states.items() if state == "AVAILABLE")
