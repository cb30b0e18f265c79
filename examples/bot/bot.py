"""An auto-reply bot: answers questions of buyers by keyword, from events of `wechat-kf listen`.

    pip install standardwebhooks requests
    export WEBHOOK_SECRET=whsec_…
    python bot.py &
    wechat-kf listen --merchant 42 --secret "$WEBHOOK_SECRET" --forward-to http://127.0.0.1:8080/

It signs its calls with `wechat-kf sign`, which has the credentials.
"""

import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

ANSWERS = {
    "发货": "今天下单，今天发货。",
    "尺码": "尺码表在商品详情页的第二张图。",
    "退": "七天无理由退货。",
}
WEBHOOK = Webhook(os.environ["WEBHOOK_SECRET"])


class Bot(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = WEBHOOK.verify(body, dict(self.headers.items()))
        except (WebhookVerificationError, ValueError):
            return self.send_error(401)
        self.send_response(204)
        self.end_headers()
        if event["type"] == "wechat.kf.message.received":
            text = event["data"]["message"].get("text", "")
            answer = next(
                (ANSWERS[word] for word in ANSWERS if word in text), "请稍候，客服马上就来。"
            )
            send(event["data"]["business_id"], event["data"]["openid"], answer, key=event["id"])


def send(business_id: str, openid: str, text: str, key: str) -> None:
    message = json.dumps({"openid": openid, "message": {"type": "text", "text": text}})
    path, header = f"/merchants/{business_id}/messages", f"Idempotency-Key: {key}"
    sign = ["wechat-kf", "sign", "POST", path, "--data", message, "--header", header]
    subprocess.run(subprocess.check_output(sign, text=True), shell=True, check=True)


HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Bot).serve_forever()
