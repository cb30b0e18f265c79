"""The layer that all functions share: rules, the WeChat client and the AWS adapters."""
