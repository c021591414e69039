"""Folders and users that come and go at random."""

import asyncio
import contextlib
import random

import pytest

from tests.serving.small_servables import Memory
from tests.serving.small_servables import answering
from tests.serving.small_servables import config
from tests.serving.small_servables import managing
from tests.serving.small_servables import policy
from tests.serving.small_servables import spec
from tests.serving.small_servables import until

POLICIES = [
    ({}, lambda there: there[-1:]),
    (policy(latest={"num_versions": 2}), lambda there: there[-2:]),
    (policy(all={}), lambda there: there),
    (
        policy(specific={"versions": [1, 3, 5]}),
        lambda there: [n for n in there if n in (1, 3, 5)],
    ),
]
STEPS = 60


class Walk:
    """Random changes to one base path, with users all the while."""

    def __init__(self, seed, base, memory, manager):
        self._random = random.Random(seed)
        self._base, self._memory, self._manager = base, memory, manager
        self.answers = 0

    @property
    def there(self):
        return sorted(int(p.name) for p in self._base.iterdir())

    async def use(self):
        """Asks for the latest until it is told to stop: it never fails."""
        while True:
            with self._manager.use(spec()) as servable:
                for _ in range(self._random.randrange(1, 6)):
                    # Fails where the servable has been closed meanwhile.
                    await servable.predict(None, None)
                await asyncio.sleep(self._random.choice([0.0, 0.001, 0.004]))
                await servable.predict(None, None)
            self.answers += 1
            await asyncio.sleep(0)

    async def change(self):
        """Adds or takes away a version; version 1 stays."""
        number = self._random.randrange(2, 7)
        folder = self._base / str(number)
        if folder.exists():
            folder.rmdir()
        else:
            if self._random.random() < 0.3:
                self._memory.broken["jump", number] = self._random.randrange(3)
            folder.mkdir()
        await asyncio.sleep(self._random.choice([0.0, 0.002, 0.008]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("chosen", "wanted"), POLICIES, ids=range(4))
def test_whatever_happens_somebody_answers(tmp_path, chosen, wanted, seed):
    memory = Memory()
    base = tmp_path / "jump"
    (base / "1").mkdir(parents=True)

    async def run():
        one = config({"base_path": str(base), **chosen})
        async with managing(
            one, memory, poll_seconds=0.002, retry_seconds=0.001
        ) as manager:
            walk = Walk(seed, base, memory, manager)
            users = [asyncio.create_task(walk.use()) for _ in range(3)]
            for _ in range(STEPS):
                await walk.change()
                assert not any(user.done() for user in users)
            memory.broken.clear()
            expected = [("jump", number) for number in wanted(walk.there)]
            await until(lambda: memory.versions == expected)
            # The loader's thread holds a version before the manager knows it.
            await until(lambda: answering(manager) == expected[-1][1])
            for user in users:
                user.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await user
            assert walk.answers > STEPS
            assert len(memory.attempts) > 5

    asyncio.run(run())
