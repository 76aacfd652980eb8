"""A simulated ESP32: its flash, its boot loader, its power, and MicroPython inside.

norflash     the chip's rules and the power fuse       ┐
otadata      which slot, and is it on trial?           ├ run on this Python and on the device
(image/appimage  what ESP-IDF checks of an image)      ┘
partitions   partitions.csv, and the table in flash
meter        operations counted, wear, the fuse
provision    factory flashing, LittleFS
bootloader   chooses a slot, unpacks what it carries
supervisor   Board: power, resets, output
console      a pty that speaks raw REPL
shims/       machine, esp32, network, ntptime for the device
"""
