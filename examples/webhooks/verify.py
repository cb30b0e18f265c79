from standardwebhooks import Webhook, WebhookVerificationError


def handle(body: str, headers: dict[str, str]) -> int:
    try:
        event = Webhook(SECRET).verify(body, headers)
    except (WebhookVerificationError, ValueError):  # ValueError: a signature that has no form
        return 401
    queue.put(event)  # your own
    return 204
