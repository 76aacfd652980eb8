"""All that the cloud knows, in one SQLite file.

In write-ahead mode a killed process loses nothing it had committed, and `sluice thing create` may
write while `sluice cloud run` serves. Times are seconds since 1970, fractions kept. Object bytes
are not in here: they are files of the bucket's folder.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path
from threading import RLock
from typing import Any

from sluice.cloud.looks import ALL_OPEN, LOOKS
from sluice.cloud.names import arn
from sluice.cloud.state import make_folder
from sluice.errors import SluiceError

BUSY_S = 10  # how long to wait for another process's transaction

SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS things (
    name TEXT PRIMARY KEY, id TEXT NOT NULL, type TEXT, attributes TEXT NOT NULL,
    version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS certificates (
    id TEXT PRIMARY KEY, common_name TEXT UNIQUE NOT NULL, pem TEXT NOT NULL,
    status TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS principals (
    certificate TEXT NOT NULL REFERENCES certificates ON DELETE CASCADE,
    thing TEXT NOT NULL REFERENCES things ON DELETE CASCADE, PRIMARY KEY (certificate, thing));
CREATE TABLE IF NOT EXISTS exclusive_principals (
    certificate TEXT PRIMARY KEY, thing TEXT NOT NULL,
    FOREIGN KEY (certificate, thing) REFERENCES principals ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS sessions (
    client TEXT PRIMARY KEY, certificate TEXT NOT NULL REFERENCES certificates ON DELETE CASCADE,
    id TEXT NOT NULL, version INTEGER NOT NULL, connected INTEGER NOT NULL, reason TEXT NOT NULL,
    socket TEXT NOT NULL, changed_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS sessions_certificate ON sessions (certificate, changed_at);
CREATE INDEX IF NOT EXISTS principals_thing ON principals (thing);
CREATE TABLE IF NOT EXISTS policies (name TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS policy_versions (
    policy TEXT NOT NULL REFERENCES policies ON DELETE CASCADE, number INTEGER NOT NULL,
    document TEXT NOT NULL, is_default INTEGER NOT NULL, created_at REAL NOT NULL,
    PRIMARY KEY (policy, number));
CREATE TABLE IF NOT EXISTS policy_targets (
    policy TEXT NOT NULL REFERENCES policies ON DELETE CASCADE, target TEXT NOT NULL,
    PRIMARY KEY (policy, target));
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, status TEXT NOT NULL, document TEXT NOT NULL,
    request TEXT NOT NULL, force_canceled INTEGER NOT NULL DEFAULT 0, reason TEXT, comment TEXT,
    created_at REAL NOT NULL, updated_at REAL NOT NULL, completed_at REAL);
CREATE INDEX IF NOT EXISTS jobs_created ON jobs (created_at DESC, id);
CREATE TABLE IF NOT EXISTS job_namespaces (
    job TEXT PRIMARY KEY REFERENCES jobs ON DELETE CASCADE, namespace TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS job_templates (
    id TEXT PRIMARY KEY, document TEXT NOT NULL, request TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tags (
    resource TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (resource, key));
CREATE TABLE IF NOT EXISTS executions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
    thing TEXT NOT NULL REFERENCES things ON DELETE CASCADE,
    number INTEGER NOT NULL, status TEXT NOT NULL, details TEXT, version INTEGER NOT NULL,
    forced INTEGER NOT NULL DEFAULT 0, queued_at REAL NOT NULL, started_at REAL,
    updated_at REAL NOT NULL, job_deadline REAL, step_deadline REAL,
    UNIQUE (job, thing, number));
CREATE INDEX IF NOT EXISTS executions_thing ON executions (thing, status);
CREATE INDEX IF NOT EXISTS executions_job ON executions (job);
CREATE INDEX IF NOT EXISTS executions_job_status ON executions (job, status);
CREATE INDEX IF NOT EXISTS executions_job_deadline ON executions (job_deadline)
    WHERE job_deadline IS NOT NULL;
CREATE INDEX IF NOT EXISTS executions_step_deadline ON executions (step_deadline)
    WHERE step_deadline IS NOT NULL;
CREATE TABLE IF NOT EXISTS thing_groups (
    name TEXT PRIMARY KEY, id TEXT NOT NULL, parent TEXT REFERENCES thing_groups,
    description TEXT, attributes TEXT NOT NULL, version INTEGER NOT NULL,
    created_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS thing_groups_parent ON thing_groups (parent);
CREATE TABLE IF NOT EXISTS group_things (
    thing_group TEXT NOT NULL REFERENCES thing_groups ON DELETE CASCADE,
    thing TEXT NOT NULL REFERENCES things ON DELETE CASCADE, PRIMARY KEY (thing_group, thing));
CREATE INDEX IF NOT EXISTS group_things_thing ON group_things (thing);
CREATE TABLE IF NOT EXISTS job_targets (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
    thing TEXT NOT NULL REFERENCES things ON DELETE CASCADE, notified_at REAL,
    UNIQUE (job, thing));
CREATE INDEX IF NOT EXISTS job_targets_job ON job_targets (job, notified_at);
CREATE INDEX IF NOT EXISTS job_targets_thing ON job_targets (thing);
CREATE TABLE IF NOT EXISTS streams (
    id TEXT PRIMARY KEY, version INTEGER NOT NULL, description TEXT, role TEXT NOT NULL,
    files TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS ota_updates (
    id TEXT PRIMARY KEY, job TEXT NOT NULL, stream TEXT NOT NULL, request TEXT NOT NULL,
    created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS shadows (
    thing TEXT NOT NULL REFERENCES things ON DELETE CASCADE, name TEXT NOT NULL,
    state TEXT NOT NULL, metadata TEXT NOT NULL, version INTEGER NOT NULL,
    deleted INTEGER NOT NULL, PRIMARY KEY (thing, name));
CREATE TABLE IF NOT EXISTS orders (
    bid TEXT PRIMARY KEY, gateway TEXT NOT NULL REFERENCES things ON DELETE CASCADE,
    devices TEXT NOT NULL, status TEXT NOT NULL, result INTEGER, percent INTEGER, step TEXT,
    tid TEXT, attempts INTEGER NOT NULL, due_at REAL, created_at REAL NOT NULL,
    updated_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS order_messages (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    bid TEXT NOT NULL REFERENCES orders ON DELETE CASCADE, at REAL NOT NULL,
    kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, versioning TEXT, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT NOT NULL REFERENCES buckets,
    key TEXT NOT NULL, version TEXT NOT NULL, etag TEXT, size INTEGER NOT NULL, file TEXT,
    headers TEXT NOT NULL, modified_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS objects_key ON objects (bucket, key);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, headers TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL REFERENCES uploads ON DELETE CASCADE, number INTEGER NOT NULL,
    etag TEXT NOT NULL, size INTEGER NOT NULL, file TEXT NOT NULL, PRIMARY KEY (upload, number));
"""
TAGGED = {  # kind of an ARN whose resources take tags → (their table, its column of names)
    "job": ("jobs", "id"),
    "jobtemplate": ("job_templates", "id"),
    "otaupdate": ("ota_updates", "id"),
    "policy": ("policies", "name"),
    "stream": ("streams", "id"),
    "thinggroup": ("thing_groups", "name"),
}
UNTAGGED = "".join(
    f"CREATE TRIGGER IF NOT EXISTS {table}_untagged AFTER DELETE ON {table} BEGIN "
    f"DELETE FROM tags WHERE resource = '{arn(kind, '')}' || old.{column}; END;\n"
    for kind, (table, column) in TAGGED.items()
)


@contextmanager
def open_store(path: Path) -> Iterator["Store"]:
    """A store, closed at the end; SluiceError when SQLite cannot work with its file."""
    try:
        with closing(Store(path)) as store:
            yield store
    except sqlite3.DatabaseError as error:
        raise SluiceError(f"{path}: {error}") from None


class Store:
    """One connection, shared by this process's threads behind a lock."""

    def __init__(self, path: Path) -> None:
        self._lock = RLock()
        self._depth = 0
        self._time: float | None = None  # of the transaction, once somebody has asked
        make_folder(path.parent)
        try:  # it holds secrets, as does what SQLite puts beside it, with the same mode
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise SluiceError(f"cannot open {path}: {error.strerror}") from None
        self._db = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._db.row_factory = sqlite3.Row
        with path.with_suffix(".schema").open("w", encoding="utf-8") as lock:
            flock(lock, LOCK_EX)  # two processes may open a new store at once
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA foreign_keys = ON")
            known = self.row("SELECT 1 FROM sqlite_master WHERE name = 'job_looks'")
            self._db.executescript(SCHEMA + LOOKS + UNTAGGED)
            if not known:
                self.run(ALL_OPEN)

    def close(self) -> None:
        """Close the file; nothing is pending outside a transaction."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Inner ones join the outermost; other threads and processes wait."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self._db.execute("COMMIT")
            except BaseException:
                if self._depth == 1 and self._db.in_transaction:  # SQLite ends some by itself
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._time = None

    def version(self) -> tuple[int, int]:
        """Another value whenever something has been written, here or by another process."""
        with self._lock:
            number = self._db.execute("PRAGMA data_version").fetchone()[0]
            return number, self._db.total_changes

    def clock(self, now: Callable[[], float]) -> Callable[[], float]:
        """A clock that stands still within a transaction: all that is done in one has one time."""

        def read() -> float:
            with self._lock:
                if self._depth == 0:
                    return now()
                if self._time is None:
                    self._time = now()
                return self._time

        return read

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        with self._lock:
            return self._db.execute(sql, values).fetchone()

    def run(self, sql: str, *values: Any) -> int:
        """Execute one statement; returns the number of rows it changed."""
        with self._lock:
            return self._db.execute(sql, values).rowcount

    def insert(self, table: str, **columns: Any) -> None:
        """Add one row."""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        self.run(f"INSERT INTO {table} ({names}) VALUES ({marks})", *columns.values())

    def setting(self, key: str) -> str | None:
        """A remembered setting, or None."""
        found = self.row("SELECT value FROM settings WHERE key = ?", key)
        return found["value"] if found else None

    def remember(self, key: str, value: str) -> None:
        """Keep a setting for the next run."""
        self.run("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)", key, value)
