"""Which jobs the cloud must look at, and when. Triggers keep this, whoever changes what.

A job is looked at when something of it has changed, or at a time that it waits for. So a tick
costs nothing where nothing has changed, and no change is missed: other processes make some.

    at        when to look, in seconds since 1970; 0 is now
    members   whether its targets may have others than before
"""

NOW = """
    INSERT INTO job_looks VALUES ({job}, 0, {members})
    ON CONFLICT (job) DO UPDATE SET at = 0, members = max(members, excluded.members);
"""
CONTINUOUS = "status = 'IN_PROGRESS' AND json_extract(request, '$.targetSelection') = 'CONTINUOUS'"
FOLLOWERS = f"""
    INSERT INTO job_looks SELECT id, 0, 1 FROM jobs WHERE {CONTINUOUS}
    ON CONFLICT (job) DO UPDATE SET at = 0, members = 1;
"""
# once, in a store that has been without
ALL_OPEN = """
INSERT OR IGNORE INTO job_looks
    SELECT id, 0, 1 FROM jobs WHERE status IN ('SCHEDULED', 'IN_PROGRESS')
"""
# {trigger: (after what, what it does)}
# fmt: off
TRIGGERS = {
    "job_made":          ("INSERT ON jobs", NOW.format(job="new.id", members=1)),
    "job_changed":       ("UPDATE OF status, request ON jobs",
                          NOW.format(job="new.id", members=1)),
    "execution_made":    ("INSERT ON executions", NOW.format(job="new.job", members=0)),
    "execution_changed": ("UPDATE OF status ON executions",
                          NOW.format(job="new.job", members=0)),
    "execution_gone":    ("DELETE ON executions", NOW.format(job="old.job", members=0)),
    "target_gone":       ("DELETE ON job_targets", NOW.format(job="old.job", members=0)),
    "thing_made":        ("INSERT ON things", FOLLOWERS),
    "member_made":       ("INSERT ON group_things", FOLLOWERS),
    "member_gone":       ("DELETE ON group_things", FOLLOWERS),
    "group_made":        ("INSERT ON thing_groups", FOLLOWERS),
    "group_moved":       ("UPDATE OF parent ON thing_groups", FOLLOWERS),
    "group_gone":        ("DELETE ON thing_groups", FOLLOWERS),
}
# fmt: on
LOOKS = f"""
CREATE TABLE IF NOT EXISTS job_looks (
    job TEXT PRIMARY KEY, at REAL NOT NULL, members INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS job_looks_at ON job_looks (at);
CREATE INDEX IF NOT EXISTS jobs_continuous ON jobs (id) WHERE {CONTINUOUS};
""" + "".join(
    f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} BEGIN {action} END;\n"
    for name, (event, action) in TRIGGERS.items()
)
