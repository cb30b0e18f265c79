"""The adapters to AWS: tables, queues, secrets. Knows nothing of HTTP or WeChat."""
