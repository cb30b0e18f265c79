"""The endpoints of api.weixin.qq.com: each a function from a call to what WeChat answers."""
