"""`sluice flash`: from a board with MicroPython to one whose agent waits for jobs.

boards      which boards there are, and which one this is
contents    what belongs on the board, by path
settings    its config.json: where the cloud is, the Wi-Fi
on_board    runs on the board: looks, digests, renames
earlier     the layout of before the package `sluice`
inspection  what was found there, and what is wrong with it
writing     copies what changed: beside, read back, renamed
watching    restarts it and waits for the agent
micropython MicroPython itself, by esptool
"""
