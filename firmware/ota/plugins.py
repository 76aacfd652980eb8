"""Every plug-in by name, loaded when it is needed and let go of afterwards.

To add one: its file, and its row here. On a board that has its modules frozen, letting go costs
and saves next to nothing; on one that loads them from its file system, their code does not stay
in the heap.

A dialect, how a cloud gives orders and hears back, has
    async start()                  after every connect: be heard, and ask what is pending
    async next_job(poll_ms, other) → Job, as soon as there is one; None as soon as other() is true;
                                   without `other` it is never None
    pending(job)                   → the Job that `start` found pending, if it is this one
    async accept(job)              → Job: the cloud counts it as started; may be another one
    async report(job, step, info)  tell an outcome or a step, and wait until it was accepted
    progress(job, info)            tell how far it is, without waiting
    async still(job)               returns while the job is ours to do; raises Gone
Its steps: accepted, downloading, applying, trying, rebooting, succeeded, failed, rejected.

A source, how a file's bytes arrive, is made of (tools, file, block): the tools are link, clock,
settings, a list of two that the sources keep between downloads, and a function that gives an HTTP
connection. It has
    async fetch(image, watch)      fills the image and awaits `watch()` now and then
    async close()                  leaves nothing behind on the link

A document, how a job is written down, has
    read(document, job)            fills in the job; raises Refuse

An operation, what a job asks other than an image, has
    check(job)                     may be missing; raises Refuse for what it will not do; fills
                                   in `job.files`, where it brings files
    async run(job, device)         → how it went, in words; raises Fail, or Retry to be run again;
                                   missing in one that only brings files: ota.files has it
`job.order` is the document. `device` is the ota.agent.Agent: its slots, journal, dialect, clock,
settings, load, pause, link, buffer and source; ota.files fetches and places what is in job.files.
An operation that is cut off, by a reset or its link, is run again; one that has ended is not.
Besides those listed here, a module of the name in the folder /operations of the board is one.
ota/operations/echo.py is the one to copy.
"""

# fmt: off
DIALECTS = {  # config "dialect" → its class, its module, what that needs
    "aws_jobs": ("AWSJobs", "ota.dialects.aws_jobs", "ota.dialects.aws_updates",
                 "ota.dialects.aws_shadow", "ota.dialects.aws_version",
                 "ota.dialects.aws_pending"),
    "product": ("Product", "ota.dialects.product", "ota.dialects.product_orders",
                "ota.dialects.product_kept", "ota.dialects.product_words"),
}

SOURCES = {  # name that a document gives a file → its class, its module, what that needs
    "mqtt_stream": ("MQTTStream", "ota.sources.mqtt_stream", "ota.sources.blocks",
                    "ota.sources.description", "ota.blockparser", "ota.cborparser"),
    "http_range": ("HTTPRange", "ota.sources.http_range"),
}

DOCUMENTS = (  # a key that only this shape has → its function, its module, what that needs
    ("afr_ota", "read", "ota.documents.afr_ota", "ota.documents.operation", "ota.fields"),
    ("location", "read", "ota.documents.location", "ota.fields"),
    ("operation", "read", "ota.documents.operation", "ota.fields"),
    ("steps", "read", "ota.documents.steps", "ota.documents.operation", "ota.fields"),
    ("devices", "read", "ota.documents.devices", "ota.documents.operation", "ota.fields"),
)

OPERATIONS = {  # name that a document gives it → its function, its module, what that needs
    "download": ("check", "ota.operations.download", "ota.paths", "ota.fields", "ota.staged"),
    "echo": ("run", "ota.operations.echo", "ota.fields"),
    "install": ("check", "ota.operations.install", "ota.paths", "ota.fields", "ota.staged"),
    "reboot": ("run", "ota.operations.reboot"),
    "rollback": ("run", "ota.operations.rollback", "ota.fields", "ota.proofs"),
}
# fmt: on
