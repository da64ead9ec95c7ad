"""How threads on the CPU wait; asked for before torch is imported."""

from __future__ import annotations

import os


def wait_passively() -> None:
    """Have threads that wait for each other sleep, unless the user's environment says otherwise.

    OpenMP lets them spin, which is a little faster alone, but many times slower beside another process that computes:
    labelling beside a training, above all. It looks at the environment when torch loads it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
