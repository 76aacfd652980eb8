"""Images of ESP32 and W800: made from the device's modules, and read back.

appimage    what ESP-IDF checks; runs on the device too
archive     the modules inside the data segment
w800        W800 images: made, read, unwrapped
plain       the image of a file, as it is signed and sent
seal        an image's own signature behind it
modules     what goes into an image, compiled
build       make_image, pack_image
inspect     read_image
merged      an app image with partition table and boot loader's head, as esptool writes it
partitions  partitions.csv, and the table in flash
wmtable     the same of a W800
smaller     deltas against older images, and compressed images: made, read, applied
building    shows how far one is
"""

from sluice.image.build import make_image, pack_image
from sluice.image.inspect import Image, read_image

__all__ = ["Image", "make_image", "pack_image", "read_image"]
