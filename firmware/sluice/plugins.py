"""Every plug-in by name, loaded when it is needed: see sluice.loading.

To add one: its file, and its row here.

A dialect, how a cloud gives orders and hears back, has
    async linked()                 after every connect: be heard, and ask what is pending
    async between_jobs()           what else there is to do while no job is at hand
    async next_job(poll_ms)        → Job, as soon as there is one; None as soon as there is
                                   something to do between jobs
    pending(job)                   → the Job that `start` found pending, if it is this one
    async accept(job)              → Job: the cloud counts it as started; may be another one
    async report(job, step, info)  tell an outcome or a step, and wait until it was accepted
    progress(job, info)            tell how far it is, without waiting
    shadow                         see sluice.clouds.shadow; None of a cloud without one
    async still(job)               returns while the job is ours to do; raises Gone
Its steps: accepted, downloading, applying, trying, rebooting, succeeded, failed, rejected.

A source, how a file's bytes arrive, is made of (sources, file, block). `sources` stays between
downloads: see sluice.run. A source has
    async fetch(image, watch)      fills the image and awaits `watch()` now and then
    async close()                  leaves nothing behind on the link

A document, how a job is written down, has
    read(document, job)            fills in the job; raises Refuse

An operation, what a job asks other than an image, has
    check(job)                     may be missing; raises Refuse for what it will not do; fills
                                   in `job.files`, where it brings files
    async run(job, device)         → how it went, in words; raises Fail, or Retry to be run again;
                                   missing in one that only brings files: sluice.files.place has it
`job.order` is the document. `device` is the agent.agent.Agent: its `slots`, `journal`, `dialect`,
`clock`, `settings`, `load`, `pause`, `link`, `buffer` and `source`; files.place brings and places
what is in `job.files`.
An operation that is cut off, by a reset or its link, is run again; one that has ended is not.
Besides those listed here, a module of the name in the folder /operations of the board is one.
sluice/jobs/operations/echo.py is the one to copy.
"""

# fmt: off
DIALECTS = {  # config "dialect" → its class, its module
    "aws_jobs": ("AWSJobs", "sluice.clouds.aws_jobs"),
    "product": ("Product", "sluice.clouds.product"),
}

SOURCES = {  # name that a document gives a file → its class, its module
    "mqtt_stream": ("MQTTStream", "sluice.transfer.stream"),
    "http_range": ("HTTPRange", "sluice.transfer.http_range"),
}

DOCUMENTS = (  # a key that only this shape has → its function, its module
    ("afr_ota", "read", "sluice.jobs.documents.afr_ota"),
    ("location", "read", "sluice.jobs.documents.location"),
    ("operation", "read", "sluice.jobs.documents.operation"),
    ("steps", "read", "sluice.jobs.documents.steps"),
    ("devices", "read", "sluice.jobs.documents.devices"),
)

OPERATIONS = {  # name that a document gives it → its function, its module
    "download": ("check", "sluice.jobs.operations.download"),
    "echo": ("run", "sluice.jobs.operations.echo"),
    "install": ("check", "sluice.jobs.operations.install"),
    "reboot": ("run", "sluice.jobs.operations.reboot"),
    "rollback": ("run", "sluice.jobs.operations.rollback"),
    "update": ("check", "sluice.jobs.operations.update"),
}
# fmt: on
