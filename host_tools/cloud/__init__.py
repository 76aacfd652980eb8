"""A local cloud that AWS's own clients accept. Each service has a room:

    run         puts the parts together: `sluice cloud run`
    announce    what a cloud tells when it is ready
    mqtt/       the broker, with mutual TLS; requests in, answers and notices out
    jobs/       jobs, their executions, how they reach things; the update calls that make them
    streams/    MQTT-based file delivery
    shadow/     Device Shadow
    things/     things, certificates, groups, policies
    s3/         a bucket, its face, presigned addresses, and their proof
    http/       the server, signatures, and boto3's calls by botocore's own models
    product/    the thing/product platform
    store       everything, in SQLite                 state       the folder, what a cloud tells
    looks       which jobs have to be looked at       listing     lists that SQL cuts into pages
    message     what is published                     tags        of whatever an ARN names
    faults      what goes wrong on purpose            http_faults the same by HTTP
    refusal     what a call may be refused with       names       as AWS spells them
    apart       a fault of one job alone

In a room `over_mqtt` is what devices ask, `api` what boto3's calls do. Protocol code does no I/O
beyond the store and the bucket: a request goes in, messages come out, the time is handed in.
"""
