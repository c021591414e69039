"""jump_tf: what a visitor clicks next, and how long they stay."""

__version__ = "0.2.0"
