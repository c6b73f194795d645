"""The streams of `random_cpu` on a GPU: the same keys and counters give the same words, bit for bit."""

from __future__ import annotations

from . import random_cpu
from .twins_cuda import on_device

mix64 = on_device(random_cpu.mix64)
stream = on_device(random_cpu.stream, mix64=mix64)
draw = on_device(random_cpu.draw, mix64=mix64)
uniform = on_device(random_cpu.uniform, draw=draw)
high64 = on_device(random_cpu.high64)
bounded = on_device(random_cpu.bounded, draw=draw, high64=high64)
