"""Signs schemathesis's requests for a running local stack.

    SCHEMATHESIS_HOOKS=tests.e2e.schemathesis_hooks schemathesis run docs/openapi.yaml \
        --url "$(jq -r .api_url .local/stack.json)"
"""

from __future__ import annotations

import schemathesis  # type: ignore[import-not-found,unused-ignore]
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from requests import PreparedRequest
from requests.auth import AuthBase

from wechat_kf_cli.stack.state import StateDirectory

STACK = StateDirectory.from_environment().read()
SIGNER = SigV4Auth(
    Credentials(STACK.access_key_id, STACK.secret_access_key), "execute-api", STACK.region
)


class Signature(AuthBase):
    """SigV4, as every route but WeChat's own demands."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        signed = AWSRequest(request.method, request.url, data=request.body, headers=request.headers)
        SIGNER.add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request


schemathesis.auth.set_from_requests(Signature())
