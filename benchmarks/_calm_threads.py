"""Imported before anything that starts threads: those of OpenMP wait without spinning.

Spinning threads of one contender would be counted as processor time of the next, and slow it down.
"""

import os

for _variable, _value in (("KMP_BLOCKTIME", "0"), ("OMP_WAIT_POLICY", "passive"), ("GOMP_SPINCOUNT", "0")):
    os.environ.setdefault(_variable, _value)
