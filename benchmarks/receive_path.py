"""Verify, decrypt and parse one secure push: ours against wechatpy, on the same message."""

from __future__ import annotations

import time

from wechatpy import parse_message
from wechatpy.crypto import WeChatCrypto

from benchmarks.measure import Row, cpu_microseconds
from benchmarks.samples import AES_KEY, APP_ID, TOKEN, BodyFormat, sealed_push
from wechat_kf.wechat.push import PushKeys, PushMode, PushOpener


def rows() -> list[Row]:
    """wechatpy reads XML only, so its XML figure is the peer of both formats."""
    now = int(time.time())
    opener = PushOpener(
        app_id=APP_ID, mode=PushMode.SECURE, keys=[PushKeys(TOKEN, AES_KEY)], max_age_seconds=86_400
    )
    peer = WeChatCrypto(TOKEN, AES_KEY, APP_ID)
    xml_body, xml_query = sealed_push(BodyFormat.XML, now)
    json_body, json_query = sealed_push(BodyFormat.JSON, now)

    def theirs() -> object:
        return parse_message(
            peer.decrypt_message(
                xml_body, xml_query["msg_signature"], xml_query["timestamp"], xml_query["nonce"]
            )
        )

    ours_xml, ours_json, theirs_xml = cpu_microseconds(
        [
            lambda: opener.open(xml_body, xml_query),
            lambda: opener.open(json_body, json_query),
            theirs,
        ],
        rounds=25,
        calls=400,
    )
    return [
        Row("receive path, XML", ours_xml, theirs_xml, "µs", theirs_xml / ours_xml, 1.3),
        Row("receive path, JSON", ours_json, theirs_xml, "µs", theirs_xml / ours_json, 2.5),
    ]
