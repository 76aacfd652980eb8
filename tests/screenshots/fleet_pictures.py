"""Pictures of the page in both colours and two widths, of the scene."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet_scene import NOW, Scene
from playwright.sync_api import Browser, Page, sync_playwright

from sluice.chromium import chromium
from sluice.cloud.run import serving
from sluice.page import application, live
