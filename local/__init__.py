"""The whole bundle on one machine: emulator, deploy, simulated WeChat and a merchant's system."""
