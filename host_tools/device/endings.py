"""How a run of MicroPython ends, and what follows of it."""

import signal

POWER_ON, HARD, WATCHDOG, SOFT = 1, 2, 3, 5  # machine.reset_cause()
SOFT_TO_RAW, PANIC, POWER_CUT = 16, 33, 77  # exit codes of sim_chip.py
# fmt: off
RESETS = {  # how MicroPython ended → what is said, and the next reset cause
    SOFT_TO_RAW:     ("reset: soft", SOFT),
    17:              ("reset: soft", SOFT),
    32:              ("reset: machine.reset", HARD),
    PANIC:           ("reset: panic", HARD),
    -signal.SIGALRM: ("reset: watchdog", WATCHDOG),
    POWER_CUT:       ("power: cut", POWER_ON),
}
ENDS = {0: "main returned", 1: "main raised"}
# fmt: on
