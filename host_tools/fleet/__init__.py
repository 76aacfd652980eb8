"""Looking after real things: what the commands do to AWS, or to the local cloud, through boto3.

provision   a thing, certificate, policy   root_ca    whom a board trusts
targets     things and groups              settings   rates, aborts, schedules from arguments
update      image, signature, OTA update   watch      what becomes of it, device by device
parts       what a deployment brings       hints      what keeps a device from beginning
containers  smaller forms of an image      agents     whether things know those
document    afr_ota, and the room in it
status      how things and jobs stand      reader     reads that
things      all things, or one by one      executions  what became of a job on each thing
about       what a thing's board told      filters    which things are meant
failures    what it kept of its failures, in words
shapes      the status as JSON             shown      as words and tables for people
jobs_shown  of jobs                        things_shown  of things
clients     boto3, for a cloud of this machine or AWS
account     which of the user's AWS settings, and which options say that
rehearsal   clients that only say what they would call
folder      things/NAME: what a board gets
news        what --wait says meanwhile
"""
