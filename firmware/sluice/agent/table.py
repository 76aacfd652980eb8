"""What happens next, all of it: what runs at boot, what follows what, and what an error means.

The agent only walks this; the work of each state is a coroutine of its name, in the module of
states/ that MODULES names. Order matters in BOOT. The diagram in firmware/DESIGN.md is made from
it by `python -m sluice.made --write`.
"""

from sluice.errors import Fail, Gone, Refuse, Retry
from sluice.journal import ACTIVATED, REBOOTING

# fmt: off
BOOT = (  # first match wins: phase of the journal, slot that runs → event
    ("any",      "trial",  "trial"),        # first boot of a new image
    (ACTIVATED,  "new",    "confirmed"),    # power failed between confirming and noting it
    (ACTIVATED,  "old",    "rolled_back"),  # the boot loader went back, or never took it
    (REBOOTING,  "any",    "rebooted"),     # as a job asked for
    ("any",      "any",    "settled"),
)

BOOTING, CONNECTING, IDLE, ACCEPTING = "BOOTING", "CONNECTING", "IDLE", "ACCEPTING"
DOWNLOADING, VERIFYING, ACTIVATING = "DOWNLOADING", "VERIFYING", "ACTIVATING"
OPERATING, TRYING, REPORTING, RESETTING = "OPERATING", "TRYING", "REPORTING", "RESETTING"

TRANSITIONS = {
    BOOTING:      {"trial": TRYING, "confirmed": CONNECTING,
                   "rolled_back": CONNECTING, "rebooted": CONNECTING, "settled": CONNECTING},
    CONNECTING:   {"linked": IDLE, "owes": REPORTING},
    IDLE:         {"job": ACCEPTING, "lost": CONNECTING, "starved": RESETTING},
    ACCEPTING:    {"image": DOWNLOADING, "operation": OPERATING, "known": REPORTING,
                   "refused": REPORTING, "gone": IDLE, "lost": CONNECTING,
                   "starved": RESETTING},
    OPERATING:    {"done": REPORTING, "genuine": ACTIVATING, "reboot": RESETTING,
                   "failed": REPORTING, "gone": IDLE, "lost": CONNECTING,
                   "starved": RESETTING},
    DOWNLOADING:  {"complete": VERIFYING, "failed": REPORTING, "gone": IDLE, "lost": CONNECTING,
                   "starved": RESETTING},
    VERIFYING:    {"genuine": ACTIVATING, "failed": REPORTING, "lost": CONNECTING,
                   "starved": RESETTING},
    ACTIVATING:   {"ready": RESETTING, "failed": REPORTING, "gone": IDLE, "lost": CONNECTING,
                   "starved": RESETTING},
    TRYING:       {"healthy": REPORTING, "settled": REPORTING,
                   "sick": RESETTING},  # unconfirmed: rolls back
    REPORTING:    {"reported": IDLE, "gone": IDLE, "lost": CONNECTING, "starved": RESETTING},
    RESETTING:    {"reset": None},
}

MODULES = {  # of states/: those that have much in common, or are loaded one after the other
    BOOTING: "boot", CONNECTING: "boot", IDLE: "boot", RESETTING: "boot",
    ACCEPTING: "work", REPORTING: "work", ACTIVATING: "trial", TRYING: "trial",
    # alone, because the heap is fullest then
    DOWNLOADING: "download", OPERATING: "operate", VERIFYING: "verify",
}

ERRORS = ((Retry, "lost"), (Refuse, "refused"), (Fail, "failed"), (Gone, "gone"))
# fmt: on


def follow(state, event):
    """The next state; None after the last. An event without a row is a bug: KeyError."""
    return TRANSITIONS[state][event]


def meaning(state, fault, heap=None):
    """The event that an error is in this state; None for one that the state has no row for.

    What is none of ours fails the job, where there is a job to fail.

    heap     sluice.agent.agent.Heap, which judges a heap that is full
    """
    rows = TRANSITIONS[state]
    if isinstance(fault, MemoryError):
        return heap.verdict(rows)
    for kind, event in ERRORS:
        if isinstance(fault, kind) and event in rows:
            return event
    return "failed" if "failed" in rows else None
