"""A fleet of a dozen boards in the middle of a rollout: the same each time."""

from collections import Counter
from dataclasses import replace

from sluice.errors import SluiceError
from sluice.fleet.status import Execution, FleetStatus, JobsStatus, JobStatus, ThingStatus

NOW = 1_780_000_000.0
SIZE = 1_468_006  # bytes of the image
BLOCKS = -(-SIZE // 4_096)
ROLLOUT, READINGS, AGENT = "AFR_OTA-image-1-2-0", "AFR_OTA-readings-2-1-0", "AFR_OTA-agent-0-3-0"
ACCEPTED = "accepted app v2.1.0"
ROLLED_BACK = "rolled back: self-test failed"
ARN = "arn:aws:iot:us-east-1:123456789012:"
LOG = """\
W 2841 uplink attempt failed: no Wi-Fi house yet
W 7320 clock 192.0.2.1 refuses to answer
W 41730 uplink attempt failed: the broker closed the connection
E 301877 mqtt handler failed ValueError
W 304455 shadow no answer""".splitlines()
FAILED_BEFORE = ("2026-05-26 06:10:02 UTC: AFR_OTA-readings-2-0-0 1 failed bad signature",)
FAILED_NOW = (*FAILED_BEFORE, f"2026-05-28 20:21:30 UTC: {ROLLOUT} 1 failed {ROLLED_BACK}")
NAMES = (
    "boiler-1", "boiler-2", "cellar", "greenhouse-east", "greenhouse-west", "loft",
    "pump-north", "pump-south", "tank-1", "tank-2", "weather", "workshop",
)  # fmt: skip


def execution(thing: str, job: str, status: str, at: float, **details: str) -> Execution:
    """One that changed `at` seconds ago."""
    return Execution(job, thing, 1, status, details, changed_at=NOW - at)


def rollout(done: int, free: int, age: float) -> dict[str, Execution]:
    """What became of the rollout, when pump-south told its blocks and bytes free so long ago."""
    loading = {"receive": f"{done}/{BLOCKS}", "heap": str(free)}
    return {
        "boiler-1": execution("boiler-1", ROLLOUT, "SUCCEEDED", 340, reason="accepted v1.2.0"),
        "boiler-2": execution("boiler-2", ROLLOUT, "FAILED", 310, reason=ROLLED_BACK),
        "cellar": execution("cellar", ROLLOUT, "SUCCEEDED", 295, reason="accepted v1.2.0"),
        "loft": execution("loft", ROLLOUT, "IN_PROGRESS", 4, self_test="active"),
        "pump-north": execution(
            "pump-north", ROLLOUT, "IN_PROGRESS", 2, receive=f"84/{BLOCKS}", heap="29872"
        ),
        "pump-south": execution("pump-south", ROLLOUT, "IN_PROGRESS", age, **loading),
        "tank-1": execution("tank-1", ROLLOUT, "QUEUED", 60),
        "tank-2": execution("tank-2", ROLLOUT, "QUEUED", 60),
    }


class Scene:
    """What a page reads: `sluice.fleet.reader.Reader` without a cloud."""

    def __init__(self) -> None:
        self.blocks = 212  # that pump-south has
        self.free = 31_040  # bytes of its heap
        self.age = 1.0  # seconds since it told that
        self.fails: set[str] = set()  # names of things that are rolled back
        self.states: dict[str, str] = {}  # {name: state of its application}, if it does not run
        self.trouble: SluiceError | None = None  # instead of an answer

    def _rollout(self) -> dict[str, Execution]:
        found = rollout(self.blocks, self.free, self.age)
        for name in self.fails:
            found[name] = execution(name, ROLLOUT, "FAILED", 0, reason=ROLLED_BACK)
        return found

    def _things(self) -> list[ThingStatus]:
        last = self._rollout()
        for name in ("greenhouse-east", "greenhouse-west"):
            last[name] = execution(name, READINGS, "SUCCEEDED", 7_300, reason=ACCEPTED)
        return [self._thing(name, last.get(name)) for name in NAMES]

    def _thing(self, name: str, job: Execution | None) -> ThingStatus:
        if name == "weather":  # its board was never switched on
            return ThingStatus(name, connected=False)
        new = job is not None and job.job == ROLLOUT and job.status == "SUCCEEDED"
        trial = name == "loft"
        away = name == "workshop"
        green = name.startswith("greenhouse")
        return ThingStatus(
            thing=name,
            groups=("growing",) if green else ("heating",) if name.startswith("boiler") else (),
            connected=not away,
            connected_at=NOW - 86_400,
            disconnect_reason="MQTT_KEEP_ALIVE_TIMEOUT" if away else "",
            told_at=NOW - (90_000 if away else 120),
            board="ESP32_GENERIC_C3" if green else "ESP32_GENERIC",
            image="1.2.0" if new or trial else "1.1.0",
            micropython="1.25.0",
            slot="ota_1" if new or trial else "ota_0",
            trial=trial,
            agent="0.3.0",
            app="2.1.0" if green else "1.3.0",
            app_state=self.states.get(name, "running"),
            trees="agent.a+app.b",
            free=self.free,
            rssi=-61,
            reset="power-on",
            job=job,
        )

    def fleet(self) -> FleetStatus:
        """All of it."""
        if self.trouble:
            raise self.trouble
        return FleetStatus(tuple(self._things()))

    def thing(self, name: str) -> ThingStatus:
        """One of them, with what else it told."""
        one = next((one for one in self._things() if one.thing == name), None)
        if one is None:
            raise SluiceError(f"there is no thing {name}")
        if one.last_told_at is None:
            return one
        return replace(
            one,
            failures=FAILED_NOW if name == "boiler-2" else FAILED_BEFORE,
            log=tuple(LOG),
            settings={"log": "I", "report_s": 5, "poll_s": 900, "block": 4096, "window": 262144},
        )

    def jobs(self) -> JobsStatus:
        """Three, the newest first."""
        counts = Counter(one.status for one in self._rollout().values())
        found = (
            JobStatus(ROLLOUT, "IN_PROGRESS", counts, (f"{ARN}thinggroup/house",),
                      created_at=NOW - 420),
            JobStatus(READINGS, "COMPLETED", {"SUCCEEDED": 2}, (f"{ARN}thinggroup/growing",),
                      created_at=NOW - 7_400),
            JobStatus(AGENT, "CANCELED", {"SUCCEEDED": 9, "CANCELED": 3},
                      (f"{ARN}thinggroup/house",), created_at=NOW - 190_000),
        )  # fmt: skip
        return JobsStatus(found, 0)

    def job(self, name: str) -> JobStatus:
        """The rollout, whatever the name."""
        file = {"filepath": "/", "filesize": SIZE, "fileid": 0}
        document = {"afr_ota": {"protocols": ["MQTT"], "files": [file]}}
        [one] = [one for one in self.jobs().jobs if one.job == name]
        return replace(one, document=document, executions=tuple(self._rollout().values()))
