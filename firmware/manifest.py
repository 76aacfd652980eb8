"""What is frozen of the firmware, for a build of MicroPython.

A board's manifest.py includes this one and adds its board.py. Frozen code runs from flash, so it
takes no heap; it comes before what lies in /lib.
"""

require("umqtt.simple")
for name in (
    "config.py",
    "console.py",
    "console_net.py",
    "prompt.py",
    "hardware.py",
    "lastgood.py",
    "lastlink.py",
    "main.py",
    "run.py",
    "starting.py",
    "ways.py",
    "wiring.py",
):
    module(name, opt=3)
package("net", opt=3)
package("ota", opt=3)
