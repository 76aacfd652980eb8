"""A local cloud that AWS's own clients accept: jobs, streams, shadows, a bucket, products.

    run         puts the parts together: `sluice cloud run`
    service     MQTT: requests in, answers and notices out     broker       Mosquitto, mutual TLS
    executions  what may happen to a job's executions          jobs         Jobs over MQTT
    rollout     how a job reaches its things, job_life         groups       things put together
    streams     MQTT-based file delivery, with cbor            things       who speaks for whom
    shadows     Device Shadow, over shadow_document            product      thing/product, orders
    web         HTTP: to s3, over the bucket, or to rest       *_api        what rest's calls do
    rest        boto3's calls, by botocore's own models        ota_updates  stream and job in one
    store       everything, in SQLite                          ca           keys and certificates
    faults      what goes wrong on purpose, http_faults too    clients      boto3, for here or AWS
    presign     placeholders of documents, presigned URLs      paging       lists, page by page
    constraints what a model allows of a request               apart        a fault of one alone
    members     what all services take alike

Protocol code (executions, jobs, streams, shadows, product) does no I/O beyond the store and the
bucket: a request goes in, messages come out, the time is handed in.
"""
