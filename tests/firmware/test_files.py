"""Jobs that bring files: what is refused, what is fetched again, what is in place at the end."""

import hashlib
from binascii import hexlify

from doubles import SECTOR, raised
from medium import Board, PowerCut, tree, write
from test_agent import SIZE, Cell, World, names, pattern
from test_agent import job as execution
from test_staging import content, quiet

from sluice import log
from sluice.errors import Fail, Gone, Refuse, Retry
from sluice.files import paths, staging
from sluice.files.fetch import InOrder
from sluice.files.staged import Staged
from sluice.job import File, Job
from sluice.journal import ACTIVATED, IDLE, Journal
from sluice.loading import exists
from sluice.log import Log

DIFFERS = True  # LittleFS

HEAP = "3m"
HOST = "http://files/"
OLD = {"app.py": b"old app", "keep.txt": b"as it was"}
BEFORE = {"/app.py": b"old app", "/keep.txt": b"as it was"}
NEW = {"/app.py": b"new app", "/data/map.bin": bytes(pattern(3 * SECTOR + 77))}
AFTER = dict(BEFORE, **NEW)
AFTER["/data"] = None


def digest(data):
    return hexlify(hashlib.sha256(data).digest()).decode()


def entry(path, data, **more):
    """One file of an install document."""
    found = {
        "fileName": path,
        "url": HOST + path.lstrip("/") + "?key=1",
        "checksum": {"inline": {"value": digest(data)}, "hashAlgorithm": "SHA-256"},
    }
    found.update(more)
    return found


def order(stock=NEW, **more):
    """An install document."""
    entries = [entry(path, stock[path]) for path in sorted(stock)]
    return dict({"operation": "install", "packageName": "demo", "files": entries}, **more)


def asked(document, **words):
    return execution(document=document, **words)


class Server:
    """A source for one file, whose bytes are in `shop`."""

    def __init__(self, shop, file):
        self.shop, self.file = shop, file
        self.data = shop.stock[file.path]

    async def measure(self):
        return len(self.data)

    async def fetch(self, image, watch):
        fault = self.shop.faults_of_files.get(self.file.path)
        while image.missing() >= 0:
            at = image.missing() // SECTOR * SECTOR
            if fault and at >= fault[0]:
                del self.shop.faults_of_files[self.file.path]
                raise fault[1]
            part = self.data[at : at + SECTOR]
            image.open(at, len(part))
            image.write(part)
            assert image.close(True)
            self.shop.came.append((self.file.path, at))
            await watch()

    async def close(self):
        self.shop.closed += 1


class Shop(World):
    """A board and its cloud, which has files."""

    def __init__(self, *jobs, stock=NEW, settings=None, **words):
        World.__init__(self, *jobs, settings=settings, **words)
        self.stock = stock
        self.came = []  # (path, offset) of every block
        self.faults_of_files = {}  # path → (offset, error)

    def source(self, file, block):
        return Server(self, file) if file.path else self

    def load(self, path):
        with open(path, "rb") as file:
            return file.read()

    def boot(self):
        """As main.py starts: the files first."""
        self.slots.boot()
        log.to(self.lines.append)
        try:
            promised = exists("/staged/promised")
            self.on_trial = staging.at_start(self.slots) if promised else False
        finally:
            log.to(print)
        self.slots.boot = lambda: None
        try:
            return World.boot(self)
        finally:
            del self.slots.boot

    def verdict(self):
        return self.reports[-1][1:]


def shop(document, files=OLD, blocks=64, **words):
    """(board, world) for one job, not started."""
    return Board(blocks, files), Shop(asked(document), **words)


def outcome(document, **words):
    """(step, reason, what is on the board) of a job."""
    board, world = shop(document, **words)
    with board:
        assert world.boot() == "Waits"
        return world.verdict() + (tree(),)


# -- paths ---------------------------------------------------------------------------------------


def test_path_is_made_absolute_and_plain():
    for text, folder, path in (
        ("a", "/", "/a"), ("/a/b", "/x", "/a/b"), ("a", "/x/y", "/x/y/a"),
        ("./a//b", "x", "/x/a/b"),
        ("app.py", "/lib/blink/", "/lib/blink/app.py"), ("/lib/blink.py", "/", "/lib/blink.py"),
        ("app.c", "/", "/app.c"), ("app.a", "/lib", "/lib/app.a"), ("agent.py", "/", "/agent.py"),
        ("wiring.py", "/lib", "/lib/wiring.py"), ("net/ota.py", "/", "/net/ota.py"),
    ):  # fmt: skip
        assert paths.confined(text, folder) == path


def test_path_that_leaves_its_folder_or_is_none_is_refused():
    for text in ("..", "../a", "a/../../b", "/..", "a/..", "", "/", "a/", "/./", "a\0b", "a\nb",
                 "a\\b", "caf\u00e9", "a/" * 70 + "b", "x" * 129):  # fmt: skip
        raised(Refuse, paths.confined, text)
    raised(Refuse, paths.confined, "a", "/x/../..")


def test_path_of_what_the_agent_is_made_of_is_refused():
    for text in ("main.py", "/MAIN.py", "boot.py", "config.json", "journal.0", "clock", "lib",
                 "/lib/sluice/agent/agent.mpy", "sluice/wiring.py", "lib/Sluice/mine.mpy",
                 "staged/0", "/staged/journal.0", "lib/umqtt/simple.py", "lib/board.mpy",
                 "sluice.mpy", "./lib/../lib/sluice/x", "lib//sluice.py", "json.py", "lib/time/x",
                 "app.a", "/App.b", "agent.a", "agent.b/x", ".app/app.py", "/.agent/sluice/run.py",
                 "trees.0", "trees.py", "order.devices", "Settings.json", "lastgood.link",
                 "lastgood.rest.new", "starts", "lib/main.mpy"):  # fmt: skip
        raised(Refuse, paths.confined, text)


def reason(files, settings=None, board=None):
    """Why a board refuses files at these paths."""
    made = []
    for path, size in files:
        made.append(File(size, "http_range"))
        made[-1].path = path
    settings = dict(settings or {"allow_unsigned": True, "signers": []})
    settings["own"] = ["Root.pem", "/keys/s.crt", ".//keys/./t.crt"]
    with board or Board():
        write("/folder/file", b"")
        try:
            paths.judge(made, settings)
        except Refuse as error:
            return str(error)
        return None


def test_files_the_board_can_take_are_not_refused():
    assert reason([("/a", 100), ("/folder/b", None), ("/new/c", 5_000)]) is None


def test_files_at_the_places_of_credentials_are_refused():
    for path in ("/Root.pem", "/root.pem", "/keys/s.crt", "/keys/t.crt"):
        assert reason([(path, 1)]) == "path is the agent's own " + path


def test_files_whose_places_exclude_each_other_are_refused():
    assert reason([("/a", 1), ("/a", 1)]) == "two files at /a"
    assert reason([("/a", 1), ("/a/b", 1)]) == "two files at /a"
    assert reason([("/a", 1), ("/ab", 1)]) is None


def test_files_where_a_folder_is_or_none_can_be_are_refused():
    assert reason([("/folder", 1)]) == "path is a folder /folder"
    assert reason([("/folder/file/x", 1)]) == "no folder /folder/file"


def test_files_whose_places_fill_more_than_a_record_are_refused_and_all_others_fit():
    """The record of the promise names every path and every folder; a cell has 4,096 bytes."""
    fits = 0
    for depth in range(1, 40):
        named = ["/" + '"/' * depth + "%d" % number for number in range(9)]
        named.append("/" + "/".join("abcdefghijklmnopqrstuvwxyz"))
        if reason([(path, 1) for path in named]) is None:
            fits = depth
        elif fits:
            break
    assert 5 < fits < 39, fits
    assert reason([(path, 1) for path in named]) == "paths are too long together"
    with Board():
        job = Job("j", 1, stamp=7)
        job.files = []
        named = ["/" + '"/' * fits + "%d" % number for number in range(9)] + named[9:]
        for path in named:
            job.files.append(File(1, "http_range"))
            job.files[-1].path = path
        staging.begin(job, "identity")
        staging.activate(job)
        assert staging.record()["paths"] == named


def test_files_larger_than_what_is_free_are_refused():
    board = Board(32)
    said = reason([("/a", 16 * SECTOR), ("/b", 16 * SECTOR)], board=board)
    assert said.startswith("file system too small: 42 blocks of 4096 needed, "), said
    assert reason([("/a", 15 * SECTOR)], board=board) is None


def test_files_without_a_signature_are_refused_unless_allowed():
    strict = {"allow_unsigned": False, "signers": ["/keys/s.crt"]}
    assert reason([("/a", 1)], strict) == "no signature"


# -- a file as a block device --------------------------------------------------------------------


def test_staged_file_takes_an_image_in_order_and_nothing_else():
    data = bytes(pattern(5 * SECTOR + 99))
    for block in (256, 1024, SECTOR, 2 * SECTOR):
        with Board():
            staged = Staged("/file", len(data), True)
            image = InOrder(staged, len(data), block)
            for at in range(0, len(data), block):
                for late in range(at + block, len(data), block):
                    assert not image.open(late, min(block, len(data) - late))
                part = data[at : at + block]
                assert image.open(at, len(part)) and image.write(part) and image.close(True)
            assert image.missing() == -1
            sector = bytearray(SECTOR)
            staged.readblocks(1, sector)
            assert sector == data[SECTOR : 2 * SECTOR]
            staged.close()
            assert tree()["/file"] == data


# -- install -------------------------------------------------------------------------------------


def test_install_puts_all_files_in_place_and_succeeds_without_a_reset():
    board, world = shop(order())
    with board:
        assert world.boot() == "Waits"
        assert world.reports == [("j1", "succeeded", "files in place: 2")]
        assert tree() == AFTER
        assert world.journal.phase == IDLE and world.closed == 2
        assert names(world.walked())[-2:] == ["OPERATING", "REPORTING"]


def test_install_of_one_file_as_an_object_in_a_working_directory():
    document = order()
    document["files"] = entry("map.bin", NEW["/data/map.bin"])
    document["workingDirectory"] = "/home/pump"
    step, said, found = outcome(document, stock={"/home/pump/map.bin": NEW["/data/map.bin"]})
    assert (step, said) == ("succeeded", "files in place: 1")
    assert found["/home/pump/map.bin"] == NEW["/data/map.bin"]


def test_install_with_a_damaged_file_in_the_set_changes_nothing():
    for path in sorted(NEW):
        bad = bytearray(NEW[path])
        bad[-1] ^= 1
        step, said, found = outcome(order(), stock=dict(NEW, **{path: bytes(bad)}))
        assert (step, said) == ("failed", "checksum does not match " + path)
        assert found == BEFORE


def test_install_of_a_file_that_is_not_there_changes_nothing():
    board, world = shop(order())
    with board:
        world.faults_of_files["/data/map.bin"] = (SECTOR, Fail("http", 404))
        world.boot()
        assert world.verdict() == ("failed", "http 404") and tree() == BEFORE


def test_install_that_is_withdrawn_leaves_nothing():
    board, world = shop(order())
    with board:
        world.watches = [None, Gone("CANCELED")]
        world.boot()
        assert not world.reports and tree() == BEFORE


def test_install_misstated_is_rejected_before_the_start():
    wrong = (
        {"files": None}, {"files": []}, {"files": [7]}, {"files": "x"}, {"files": [{}] * 11},
        {"packageName": None}, {"packageName": ""}, {"workingDirectory": 5}, {"autoStart": "yes"},
        {"files": {"fileName": "a"}}, {"files": {"fileName": "a", "url": "ftp://x/y"}},
        {"files": {"fileName": "a", "fileSource": {"url": 7}}},
        {"files": {"fileName": "../a", "url": HOST}},
        {"files": {"fileName": "main.py", "url": HOST}},
        {"files": {"fileName": "a", "url": HOST, "checksum": "abc"}},
        {"files": {"fileName": "a", "url": HOST, "sha256": "xyz"}},
        {"files": {"fileName": "a", "url": HOST, "sha256": "g" * 64}},
        {"files": {"fileName": "a", "url": HOST, "size": 0.5}},
        {"files": {"fileName": "a", "url": "${aws:iot:s3-presigned-url:https://s3/x}"}},
        {"files": entry("a", b"", checksum={"inline": {"value": "00"}, "hashAlgorithm": "md5"})},
        {"files": entry("a", b"", checksum={"inline": "0" * 64, "hashAlgorithm": "sha256"})},
        {"files": [entry("a", b""), entry("/a", b"")]},
        {"files": entry("a", b""), "workingDirectory": "/x/../.."},
        {"files": entry("a", b"", size=99_000_000)}, {"files": entry("a", b"", size=1_000_000)},
    )  # fmt: skip
    for changes in wrong:
        step, said, found = outcome(order(**changes))
        assert step == "rejected" and not said.startswith("internal"), (changes, said)
        assert found == BEFORE


def test_install_of_an_unsigned_file_is_rejected_by_a_board_that_wants_signatures():
    step, said, _ = outcome(order(), settings={"allow_unsigned": False})
    assert (step, said) == ("rejected", "no signature")


def test_install_of_a_file_signed_by_nobody_known_changes_nothing():
    document = order()
    for one in document["files"]:
        one["signature"] = "AAAA"
    settings = {"allow_unsigned": False, "signers": ["/s.crt"]}
    step, said, found = outcome(document, settings=settings)
    assert (step, said) == ("failed", "no signer ecdsa") and found == BEFORE


def test_install_with_the_link_lost_goes_on_where_it_was():
    board, world = shop(order())
    with board:
        world.jobs.append(asked(order(), queued=False))
        world.faults_of_files["/data/map.bin"] = (2 * SECTOR, Retry("http", 403))
        world.boot()
        assert world.verdict()[0] == "succeeded" and tree() == AFTER
        assert world.came.count(("/app.py", 0)) == 1


def test_install_delivered_again_is_answered_and_brings_nothing():
    board, world = shop(order())
    with board:
        world.jobs.append(asked(order(), queued=False))
        world.boot()
        assert world.verdict() == ("succeeded", "files in place: 2")
        assert len(world.came) == 5


def test_install_whose_server_has_more_than_fits_fails_and_changes_nothing():
    big = dict(NEW, **{"/data/map.bin": bytes(60 * SECTOR)})
    step, said, found = outcome(order(), stock=big)
    assert step == "failed" and said.startswith("file system too small: "), said
    assert found == BEFORE


def test_install_reports_progress():
    board, world = shop(order(), settings={"report_s": 0})
    with board:
        world.boot()
        assert (2, 4) in world.progressed and world.progressed[-1] == (4, 4)


def test_install_with_the_power_cut_anywhere_ends_with_all_or_none_and_one_verdict():
    cuts, resumed = 0, 0
    while True:
        board, world = shop(order())
        Cell.cuts = None
        with board:
            board.cut_after(cuts)
            try:
                ended = world.boot() == "Waits"
            except PowerCut:
                ended = False
            board.cut_after(None)
        with board:
            assert content(tree()) in (BEFORE, AFTER) or not ended
            world.jobs = [] if ended else [asked(order(), queued=False)]
            world.watches = []
            came = len(world.came)
            assert world.boot() == "Waits"
            assert tree() == AFTER and world.verdict()[0] == "succeeded", (cuts, world.reports)
            resumed += 0 < len(world.came) - came < 5
        if ended:
            break
        cuts += 7
    assert cuts > 50 and resumed


# -- autoStart -----------------------------------------------------------------------------------


def test_install_with_auto_start_restarts_once_and_succeeds_after_it():
    for value in (True, "true"):
        board, world = shop(order(autoStart=value))
        with board:
            assert world.boot() == "Reset"
            assert world.reports == [("j1", "rebooting", "")] and content(tree()) == BEFORE
            assert world.held == ["rebooting"]
            world.jobs = [asked(order(autoStart=value), queued=False)]
            assert world.boot() == "Waits"
            assert world.on_trial and tree() == AFTER
            assert world.verdict() == (
                "succeeded",
                "files are in place, and the board was restarted",
            )
            assert world.boot() == "Waits" and not world.on_trial


def test_install_whose_application_does_not_start_is_taken_back_and_says_so():
    board, world = shop(order(autoStart="true"))
    with board:
        assert world.boot() == "Reset"
        assert quiet(staging.at_start, world.slots) is True  # main.py, whose application raises
        assert content(tree()) == AFTER
        assert world.boot() == "Waits"
        assert not world.on_trial and tree() == BEFORE
        assert world.verdict()[0] == "failed" and "did not start" in world.verdict()[1]


def test_install_withdrawn_before_the_restart_leaves_nothing():
    board, world = shop(order(autoStart="true"))
    with board:
        world.faults["rebooting"] = [Gone("CANCELED")]
        assert world.boot() == "Waits"
        assert tree() == BEFORE and not world.reports


# -- download ------------------------------------------------------------------------------------


def download(**more):
    return dict({"operation": "download", "url": HOST + "m?k=1", "path": "data/map.bin"}, **more)


def test_download_puts_its_file_in_place():
    step, said, found = outcome(download(sha256=digest(NEW["/data/map.bin"]).upper()))
    assert (step, said) == ("succeeded", "files in place: 1")
    assert found["/data/map.bin"] == NEW["/data/map.bin"]


def test_download_template_is_a_download():
    args = {"handler": "download-file.sh", "args": [HOST + "m", "/data/map.bin"]}
    action = {"name": "Download-File", "type": "runHandler", "input": args, "runAsUser": ""}
    document = {"version": "1.0", "steps": [{"action": action}]}
    assert outcome(document)[0] == "succeeded"
    assert outcome(document, settings={"allow_unsigned": False})[:2] == (
        "rejected",
        "no signature",
    )


def test_download_misstated_is_rejected():
    for changes in ({"url": "x"}, {"url": None}, {"path": "../a"}, {"path": 5}, {"sha256": "1"},
                    {"path": "config.json"}, {"size": -1}, {"path": "keep.txt/a"}):  # fmt: skip
        step, said, found = outcome(download(**changes))
        assert step == "rejected" and found == BEFORE, changes


def test_download_of_another_size_than_asked_fails():
    size = len(NEW["/data/map.bin"])
    assert outcome(download(size=size))[0] == "succeeded"


# -- with an image -------------------------------------------------------------------------------


def both(**more):
    """An afr_ota document of an image and files."""
    files = [{"filesize": SIZE, "fileid": 0}]
    for number, path in enumerate(sorted(NEW), 1):
        files.append(
            {"filesize": len(NEW[path]), "fileid": number, "fileType": 1, "filepath": path}
        )
        files[-1].update(more)
    return {"afr_ota": {"protocols": ["MQTT"], "streamname": "s", "files": files}}


def alone():
    """The same document without its image."""
    document = both()
    del document["afr_ota"]["files"][0]
    return document


def no_image(head, size):
    raise Fail("not an app image")


def test_files_of_which_one_is_an_image_for_this_board_fail_and_say_its_type():
    """It would lie there as a file, while the old firmware runs and the job has SUCCEEDED."""
    board, world = shop(alone())
    with board:
        assert world.boot() == "Waits"
        assert world.verdict() == ("failed", "an app image must be of fileType 0 /app.py")
        assert tree() == BEFORE and world.slots.running == "ota_0"


def test_files_of_which_none_is_an_image_for_this_board_are_put_in_place():
    board, world = shop(alone())
    with board:
        world.slots.check = no_image  # of another chip, too large, or none at all
        assert world.boot() == "Waits"
        assert world.verdict() == ("succeeded", "files in place: %d" % len(NEW)), world.verdict()
        assert tree() == AFTER


def test_files_beside_an_image_may_be_images_of_other_boards_and_of_this():
    board, world = shop(both())
    with board:
        assert world.boot() == "Reset" and world.boot() == "Waits"
        assert tree() == AFTER and world.verdict()[0] == "succeeded"


def test_files_of_an_image_are_in_place_from_its_trial_on():
    board, world = shop(both())
    with board:
        assert world.boot() == "Reset"
        assert content(tree()) == BEFORE
        assert world.boot() == "Waits"
        assert tree() == AFTER and world.slots.running == "ota_1"
        assert world.verdict() == ("succeeded", "accepted v2.0.0")
        assert not world.on_trial


def test_files_of_an_image_that_is_rolled_back_are_as_they_were():
    board, world = shop(both())
    with board:
        assert world.boot() == "Reset"
        world.verdicts = [False]
        assert world.boot() == "Reset" and content(tree()) == AFTER
        assert world.boot() == "Waits"
        assert tree() == BEFORE and world.slots.running == "ota_0"
        assert world.verdict() == ("failed", "rolled back: self-test failed")


def test_files_of_an_image_whose_proof_fails_are_not_put_in_place():
    board, world = shop(both())
    with board:
        world.data[0] = 0xFF  # no app image
        world.boot()
        assert world.verdict() == ("failed", "not an app image") and tree() == BEFORE


def test_files_with_a_bad_signature_keep_their_image_from_running():
    board, world = shop(both(signature="AAAA"), settings={"signers": ["/s.crt"]})
    with board:
        world.boot()
        assert world.verdict() == ("failed", "no signer ecdsa")
        assert tree() == BEFORE and world.slots.chosen is None


def test_files_of_an_image_refused_by_the_boot_loader_are_not_put_in_place():
    board, world = shop(both())
    with board:
        world.slots.refuses = "image refused by the boot loader"
        world.boot()
        assert world.verdict()[0] == "failed" and tree() == BEFORE
        assert world.boot() == "Waits" and tree() == BEFORE


def test_files_of_an_image_come_once_through_a_lost_link():
    board, world = shop(both())
    with board:
        world.jobs.append(asked(both(), queued=False))
        world.faults_of_files["/data/map.bin"] = (SECTOR, Retry("stream is silent"))
        assert world.boot() == "Reset"
        assert world.came.count(("/app.py", 0)) == 1 and len(world.fetched) == 24
        assert world.boot() == "Waits" and tree() == AFTER


def test_image_with_files_and_the_power_cut_anywhere_ends_with_both_or_neither():
    cuts, seen = 0, set()
    while cuts is not None:
        board, world = shop(both())
        board.cut_after(cuts)
        ends = []
        while not ends or ends[-1] != "Waits":
            with board:
                try:
                    ends.append(world.boot())
                except PowerCut:
                    ends.append("Cut")
            if ends[-1] == "Cut":
                board.cut_after(None)
            going = world.slots.trial or world.slots.chosen
            told = world.reports and world.verdict()[0] in ("succeeded", "failed")
            world.jobs = [] if going or told else [asked(both(), queued=False)]
            assert len(ends) < 8, ends
        step = world.verdict()[0]
        assert (world.slots.running == "ota_1") == (step == "succeeded")
        with board:
            assert content(tree()) == (AFTER if step == "succeeded" else BEFORE), (cuts, step)
        seen.add(step)
        cuts = cuts + 11 if "Cut" in ends else None
    assert seen == {"succeeded", "failed"}


def test_install_cut_off_again_and_again_ends_well_as_long_as_it_gets_on():
    stock = dict(NEW, **{"/data/map.bin": bytes(pattern(90 * SECTOR))})
    board, world = shop(order(stock), stock=stock, blocks=140)
    with board:
        for at in range(17, 90, 17):
            world.faults_of_files["/data/map.bin"] = (at * SECTOR, PowerCut())
            try:
                world.boot()
                raise AssertionError("not cut")
            except PowerCut:
                world.jobs = [asked(order(stock), queued=False)]
        assert world.boot() == "Waits" and world.verdict()[0] == "succeeded"
        assert Journal(world.cells).phase == IDLE
        assert world.came.count(("/data/map.bin", 0)) == 1


# -- a heap that is full once ---------------------------------------------------------------------


def full_once(owner, name, when):
    """The method finds the heap full, the first time that `when(words)`; what ends that."""
    method, left = getattr(owner, name), [1]

    def act(self, *words, **more):
        if left[0] and when(words, more):
            left[0] = 0
            raise MemoryError
        return method(self, *words, **more)

    setattr(owner, name, act)
    return lambda: setattr(owner, name, method)


def test_files_that_the_heap_had_no_room_to_place_at_once_are_all_placed():
    board, world = shop(order())
    world.jobs = [asked(order(), queued=False) for _ in range(2)]
    mend = full_once(Log, "i", lambda words, _: words[0] == "placed")
    try:
        with board:
            assert world.boot() == "Waits"
            for path in ("/app.py", "/data/map.bin"):
                assert tree()[path] == NEW[path], path
    finally:
        mend()
    assert [step for _, step, _ in world.reports] == ["succeeded"]


def test_files_of_an_image_stay_promised_when_the_heap_is_full_after_that():
    board, world = shop(both())
    world.jobs = [asked(both(), queued=False) for _ in range(2)]
    mend = full_once(Journal, "write", lambda _, more: more == {"phase": ACTIVATED})
    try:
        with board:
            assert world.boot() == "Reset"
            assert staging.record().phase == ACTIVATED
            world.jobs = []
            world.boot()
            assert world.slots.running == "ota_1" and tree()["/app.py"] == NEW["/app.py"]
    finally:
        mend()
