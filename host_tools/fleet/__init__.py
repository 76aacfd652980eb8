"""Looking after real things: what the commands do to AWS, or to the local cloud, through boto3.

provision   a thing, certificate, policy   root_ca    whom a board trusts
targets     things and groups              settings   rates, aborts, schedules from arguments
update      image, signature, OTA update   watch      what becomes of it, device by device
parts       what a deployment brings       about      what runs on a thing's board
containers  smaller forms of an image      agents     whether things know those
document    afr_ota, and the room in it
clients     boto3, for a cloud of this machine or AWS
account     which of the user's AWS settings
rehearsal   clients that only say what they would call
folder      things/NAME: what a board gets
"""
