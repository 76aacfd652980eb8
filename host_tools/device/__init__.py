"""A simulated ESP32 or W800: its flash, its boot loader, its power, and MicroPython inside.

norflash         the chip's rules and the power fuse, here and on the device
otadata          which slot, and is it on trial? here and on the device
image/appimage   what ESP-IDF checks of an image, here and on the device
families         what an ESP32 and a W800 differ in
meter            operations counted, wear, the fuse
provision        factory flashing, LittleFS
rom_loader       what esptool talks to, when BOOT is held
bootloader       chooses a slot by ESP-IDF's rules
secboot          copies what is staged over the slot, as a W800's does
romfs            modules that run in place
linker           makes shims/ small: on a chip they would take no heap
spare_names      names that MicroPython has anyway
hardware         a board that is switched off
heap             how much MicroPython is given
install          the modules, where it finds them
endings          how a run of it ends, and what follows
supervisor       Board: power and resets
process          one run of MicroPython
interrupt        Ctrl-C, at a moment that it survives
output           what it says
raw_repl         what of that is for programs
terminal         a serial port for mpremote
shims/           machine, esp32, w800, network, ntptime, and the REPL, for the device
"""
