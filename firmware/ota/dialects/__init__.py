"""How a cloud gives orders and hears back. To add a dialect: one file here, and its row.

A dialect has
    async start()                  after every connect: be heard, and ask what is pending
    async next_job(poll_ms)        → Job, as soon as there is one
    async accept(job)              → Job: the cloud counts it as started; may be another one
    async report(job, step, info)  tell an outcome or a step, and wait until it was accepted
    progress(job, info)            tell how far it is, without waiting
    async still(job)               returns while the job is ours to do; raises Gone
Steps: accepted, downloading, verifying, applying, trying, succeeded, failed, rejected.
"""

from ota.plugins import plug_in

# fmt: off
DIALECTS = {  # config "dialect" → its class, its module, what that needs
    "aws_jobs": ("AWSJobs", "ota.dialects.aws_jobs", "ota.dialects.aws_updates"),
}
# fmt: on


def dialect(name, *words):
    """Build the dialect of that name; only then is its module loaded."""
    row = DIALECTS[name]
    return plug_in(row[1], row[0])(*words)
