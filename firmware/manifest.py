"""What is frozen of the firmware, for a build of MicroPython.

A board's manifest.py includes this one and adds its board.py. Frozen code runs from flash, so it
takes no heap; it comes before what lies in /lib.
"""

require("umqtt.simple")
module("main.py", opt=3)
module("trees.py", opt=3)
package("sluice", opt=3)
