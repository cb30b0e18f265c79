"""WeChat customer service with sub-merchants: API client and push receiver.

The package stands alone: it needs the standard library, `requests` (client), `cryptography` and
`defusedxml` (pushes), and nothing of the rest of `wechat_kf`. Import the module you need; this
file imports none, so that receiving a push never loads the HTTP client.

===============  =================================================================================
`client`         `WeChatClient`: every business call, typed
`tokens`         the calls that take the AppSecret, and the `TokenSource` protocol
`messages`       what can be sent to a customer
`naming`         rules for `account_name` and `nickname`
`errors`         one tree of exceptions; `codes` is WeChat's table of error codes
`transport`      `Transport`: hosts, timeouts, and what is known when a call fails
`push`           `PushOpener`: verify, decrypt and parse a push; `crypto` is its frame
===============  =================================================================================
"""

MAIN_ACCOUNT = "0"
"""The `business_id` that stands for the Mini Program itself, outside any sub-merchant."""
