"""The layouts of before the trees: their modules are told by name, and go.

The first were a hundred modules in /lib, or in the root, as .mpy or, by `mip`, as .py. A board has
that layout where both ota.errors and ota.journal lie in the same place. Elsewhere a file of such a
name is the user's. Then they were the package `sluice` in /lib, where `mip` still puts them.
"""

from collections.abc import Callable

from sluice.compile import firmware_sources

FOLDERS = {  # below /lib or the root: the modules of every release
    "": "config console console_net hardware lastgood lastlink main prompt run start starting "
    "ways wiring",
    "net/": "__init__ address clock dates dial floor head holding http mqtt ntp packets redirect "
    "refusals routes tcp tls uplink wifi",
    "ota/": "__init__ address agent appimage base64 blockparser bootfile cbor cborparser digest "
    "errors failures fields files image job journal loading log oneslot otadata p256 paths "
    "plugins policy proofs records relay rsa seal slots staged stagedimage staging table target "
    "traces update verify x509",
    "ota/dialects/": "__init__ aws_jobs aws_pending aws_shadow aws_updates aws_version product "
    "product_kept product_orders product_words",
    "ota/documents/": "__init__ afr_ota devices location operation steps",
    "ota/operations/": "__init__ download echo install reboot rollback",
    "ota/sources/": "__init__ blocks description http_range mqtt_stream",
    "ota/states/": "__init__ accepting activating booting connecting downloading idle operating "
    "reporting resetting trying verifying",
}
PACKAGE = "/lib/sluice"
PAST = {  # below it: modules of earlier releases that are none any more
    "": "handed traces ways",
    "agent/": "heap",
    "agent/states/": "accepting activating booting connecting downloading idle operating "
    "reporting resetting trying verifying",
    "clouds/": "aws_version product_kept",
    "net/": "dial floor head tcp tls uplink wifi",
    "slots/": "otadata",
    "trust/": "digest",
}
PLACES = ("/lib/", "/")
KINDS = (".mpy", ".py")
_MARKS = ("ota/errors", "ota/journal")
_IN_THE_ROOT = {"/main.py", "/main.mpy"}  # the start of every layout, or the user's own


def leftovers(present: Callable[[list[str]], list[str]]) -> list[str]:
    """The paths on a board that are of that layout.

    present  tells which of some paths the board has
    """
    found = []
    for place in PLACES:
        marks = present([f"{place}{name}{kind}" for name in _MARKS for kind in KINDS])
        if len({path.rpartition(".")[0] for path in marks}) == len(_MARKS):
            found += present(
                [
                    place + folder + name + kind
                    for folder, names in FOLDERS.items()
                    for name in names.split()
                    for kind in KINDS
                ]
            )
    return [path for path in found if path not in _IN_THE_ROOT]


def modules(files: list[str]) -> list[str]:
    """Those of the files in PACKAGE that are the firmware's, also where a run was cut off."""
    names = {path.removesuffix(".py") for path in firmware_sources()}
    names |= {f"sluice/{folder}{name}" for folder in PAST for name in PAST[folder].split()}
    known = {f"/lib/{name}{kind}" for name in names for kind in KINDS}
    return [path for path in files if path.removesuffix(".new") in known]
