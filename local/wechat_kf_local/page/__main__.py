"""`python -m wechat_kf_local.page`."""

import sys

from wechat_kf_local.page.server import main

main(sys.argv[1:])
