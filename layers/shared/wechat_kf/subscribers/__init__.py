"""The ways to a subscriber. Webhooks here; queues and event buses in `wechat_kf.aws.targets`."""
