"""The layer that all functions share: rules, the WeChat client and the AWS adapters."""

import gc
import os

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # What a function loads at its start stays for its life. Looking for garbage in it meanwhile
    # takes a tenth of a cold start. `observability.guard_invocation` turns the collector on again.
    gc.disable()
