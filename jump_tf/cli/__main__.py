"""`python -m jump_tf.cli`: the command `jump-tf`."""

import sys

from jump_tf.cli import main

sys.exit(main.main())
