"""The command `wechat-kf`, for operators and developers."""
