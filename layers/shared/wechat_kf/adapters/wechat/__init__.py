"""WeChat as the domain sees it: the one room that knows both the WeChat client and the rules."""
