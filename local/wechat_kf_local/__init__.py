"""The local stack: emulator, deployment, WeChat simulator, webhook receiver and demo page."""
