"""The rules. Imports nothing of AWS, HTTP or WeChat; says what it needs as small protocols."""
