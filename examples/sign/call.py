"""pip install requests botocore"""

import os

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import get_session

session = get_session()
request = AWSRequest("GET", os.environ["WECHAT_KF_API_URL"] + "/merchants?limit=5")
SigV4Auth(session.get_credentials(), "execute-api", session.get_config_variable("region")).add_auth(
    request
)
print(requests.get(request.url, headers=dict(request.headers), timeout=10).text)
