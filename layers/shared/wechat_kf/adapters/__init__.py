"""What the rules need of the world: AWS, WeChat, and webhooks."""
