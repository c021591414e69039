"""Trains a run in processes that die by SIGKILL at random moments.

`python -m tests.killing DATA RUN KILLS SEED [SECTION.NAME=VALUE ...]`
prints what each process was doing last. TensorFlow is imported once, and each
process is forked from here before it does anything.
"""

import os
import pathlib
import random
import signal
import sys
import threading
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from jump_tf import tasks
from jump_tf.config.run import preset
from jump_tf.runs import folder as run_folder
from jump_tf.train import callbacks

MOST_STEPS = 2  # That a process may begin before its end is near.
MOST_SECONDS = 0.3  # From there to its end: several steps, or a validation.


def main(data, run, kills, seed, *settings):
    """Trains until `kills` processes have died, then to the end."""
    config = preset("production").override(settings)
    data, run = pathlib.Path(data), pathlib.Path(run)
    moments = random.Random(int(seed))
    for number in range(int(kills) + 1):
        last = number == int(kills)
        steps = moments.randint(0, MOST_STEPS)
        seconds = moments.uniform(0.0, MOST_SECONDS)
        child = os.fork()
        if not child:
            if not last:
                _die_after(steps, seconds)
            tasks.train(
                config, data, run, resume=not run_folder.is_new(run), verbose=0
            )
            os._exit(0)
        _, status = os.waitpid(child, 0)
        saved = sorted(path.name for path in run.glob("checkpoints/*.index"))
        print(number, os.waitstatus_to_exitcode(status), saved, flush=True)
        if not os.waitstatus_to_exitcode(status):
            return


def _die_after(steps, seconds):
    begin = callbacks.StepRecorder.on_train_batch_begin
    begun = 0

    def die():
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    def count(self, batch, logs=None):
        nonlocal begun
        begun += 1
        if begun == steps + 1:
            threading.Thread(target=die, daemon=True).start()
        begin(self, batch, logs)

    callbacks.StepRecorder.on_train_batch_begin = count


if __name__ == "__main__":
    main(*sys.argv[1:])
