"""`python -m local.page`."""

import sys

from local.page.server import main

main(sys.argv[1:])
