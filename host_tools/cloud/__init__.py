"""A local cloud that AWS's own clients accept: jobs, streams, a bucket and the REST calls to them.

    names     patterns, ARNs, the one account and region     store      everything, in SQLite
    ca        keys and certificates                          things     things and who speaks for them
    broker    Mosquitto with mutual TLS                      service    MQTT in, answers and notices out
    executions, jobs      AWS IoT Jobs                       streams, cbor    MQTT-based file delivery
    bucket, s3            the S3-like bucket                 rest       boto3's calls, by botocore's models
    *_api, ota_updates    what those calls do                faults     what may go wrong on purpose
    clients   boto3 for this cloud or for AWS                run        `sluice cloud run`

Protocol code (executions, jobs, streams) does no I/O beyond the store: a request goes in, messages
come out, time is handed in.
"""
