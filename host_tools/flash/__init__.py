"""`sluice flash`: from a board with MicroPython to one whose agent waits for jobs.

boards      which boards there are, and which one this is
contents    what belongs on the board, by path
settings    its config.json: where the cloud is, the Wi-Fi
on_board    runs on the board: looks, digests, renames
earlier     what an earlier `sluice flash`, or mip, left in /lib and the root
trees       the trees that are there, and what to write of the agent's
inspection  what was found there, and what is wrong with it
asking      about several paths at once, by on_board
planning    what the board lacks of what belongs there
writing     copies what changed: read back, and put in force in a safe order
watching    restarts it and waits for the agent
micropython MicroPython itself, by esptool
"""
