"""An example of each command, and what its exit code tells: for docs/commands/.

The lines of an example run word for word in a checkout: a test does so. So each begins with
what it needs, a cloud or a board, in an empty folder `lab`.
"""

from dataclasses import dataclass, field

CLOUD = """\
sluice cloud run --state lab &
sluice thing create pump --state lab
"""
BOARD = CLOUD + "sluice device run pump --state lab &\n"
PORT = (
    CLOUD
    + """\
sluice device run pump --state lab --pty lab/port &
until test -e lab/port; do sleep 1; done
"""
)
DEPLOYED = (
    BOARD
    + "sluice deploy firmware/examples/app.py --version 1.0.0 --thing pump --state lab --wait\n"
)
IMAGE = "sluice image make pump.bin --version 1.1.0\n"
WAITED = {
    0: "The job was made. With `--wait`: every device said `SUCCEEDED`.",
    1: "Nothing was made, or with `--wait` a device did not succeed. One line on stderr says why.",
}


@dataclass(frozen=True)
class Example:
    """Lines of a shell.

    about   what is to be said before them
    codes   {exit code: its meaning} where it is another than every command's
    """

    lines: str
    about: str = ""
    codes: dict[int, str] = field(default_factory=dict)


AT_A_PORT = "A simulated board stands at `lab/port`. A real one is at a port like `/dev/ttyUSB0`."

EXAMPLES = {
    "demo": Example(
        "sluice demo\n",
        codes={
            0: "Every update ended as it should: the good ones ran, the bad ones were taken back.",
            1: "One did not. What it said stands above.",
        },
    ),
    "cloud": Example(
        CLOUD + 'eval "$(sluice cloud env --state lab)"\naws iot list-things\n',
        "The last line is AWS's own command line, where it is installed.",
    ),
    "thing": Example(
        DEPLOYED + "sluice thing list --state lab\nsluice thing show pump --state lab\n"
        "sluice thing delete pump --state lab\n"
    ),
    "device": Example(BOARD, "The board's serial output is the output of the last command."),
    "deploy": Example(DEPLOYED, codes=WAITED),
    "job": Example(
        BOARD
        + """\
echo '{"operation": "echo", "text": "hello"}' > hello.json
sluice job create --thing pump --document hello.json --id hello-1 --state lab
sluice job list --state lab
sluice job show hello-1 --state lab
""",
        codes=WAITED,
    ),
    "product": Example(
        "sluice cloud run --state lab &\nsluice product list --state lab\n",
        "[Orders of a thing/product platform](../products.md) has a whole order.",
        {1: "Nothing was ordered, or with `--wait` a device did not end in `ok`."},
    ),
    "sign": Example(IMAGE + "sluice sign pump.bin --key pump.key --new-key\n"),
    "image": Example(
        IMAGE
        + """\
sluice image make newer.bin --version 1.2.0
sluice image delta newer.bin --from pump.bin newer.delta
sluice image compress newer.bin newer.compressed
sluice image show newer.delta
"""
    ),
    "bundle": Example(
        "sluice bundle make firmware/examples/app.py app.bundle --version 1.0.0\n"
        "sluice bundle show app.bundle\n"
    ),
    "flash": Example(
        PORT.replace("device run pump", "device run pump --blank")
        + "sluice flash --port lab/port --thing pump --state lab\n",
        AT_A_PORT,
    ),
    "console": Example(PORT + "sluice console --port lab/port\n", AT_A_PORT),
    "doctor": Example(PORT + "sluice doctor --port lab/port\n", AT_A_PORT),
    "fleet": Example(DEPLOYED + "sluice fleet --state lab\n"),
    "setup": Example("sluice setup\n"),
    "completion": Example('eval "$(sluice completion bash)"\n'),
}
