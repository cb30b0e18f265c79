"""A WeChat to develop against: api.weixin.qq.com, the buyers' phones, and faults on demand.

Everything lives in the memory of one process with one event loop, so nothing here needs a lock.
It plays WeChat from `docs/wechat-api.md` alone and shares no rule with the client it tests.
"""
