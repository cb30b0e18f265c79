"""Verify, decrypt and parse one secure push: ours against wechatpy, on the same message."""

from __future__ import annotations

import json
import time
from xml.etree import ElementTree

from wechatpy import parse_message
from wechatpy.crypto import WeChatCrypto

from benchmarks.measure import COMPARISON, Row, Section, cpu_microseconds
from benchmarks.samples import AES_KEY, APP_ID, TOKEN, BodyFormat, sealed_push
from wechat_kf.wechat.crypto import FrameCipher
from wechat_kf.wechat.push import PushKeys, PushMode, PushOpener

NOTE = (
    "One text message in secure mode: verify the signature, decrypt, parse. Median CPU time of one "
    "push, in one process, alternating between the sides.\n\n"
    "wechatpy cannot read JSON pushes, so both formats are compared with its XML path. The last "
    "two rows show the floor of any receive path: decryption and the standard library's parser, "
    "with nothing verified (no signature, age, AppID or field). The ratio is the other side's time "
    "divided by ours: more is better."
)


def run() -> list[Section]:
    now = int(time.time())
    opener = PushOpener(
        app_id=APP_ID, mode=PushMode.SECURE, keys=[PushKeys(TOKEN, AES_KEY)], max_age_seconds=86_400
    )
    peer = WeChatCrypto(TOKEN, AES_KEY, APP_ID)
    cipher = FrameCipher(AES_KEY, APP_ID)
    xml_body, xml_query = sealed_push(BodyFormat.XML, now)
    json_body, json_query = sealed_push(BodyFormat.JSON, now)

    def theirs() -> object:
        return parse_message(
            peer.decrypt_message(
                xml_body, xml_query["msg_signature"], xml_query["timestamp"], xml_query["nonce"]
            )
        )

    def bare_xml() -> object:
        outer = ElementTree.fromstring(xml_body)  # noqa: S314 - our own sample
        return ElementTree.fromstring(cipher.decrypt(outer.findtext("Encrypt") or ""))  # noqa: S314

    def bare_json() -> object:
        return json.loads(cipher.decrypt(json.loads(json_body)["Encrypt"]))

    ours_xml, ours_json, theirs_xml, floor_xml, floor_json = cpu_microseconds(
        [
            lambda: opener.open(xml_body, xml_query),
            lambda: opener.open(json_body, json_query),
            theirs,
            bare_xml,
            bare_json,
        ],
        rounds=25,
        calls=400,
    )
    compared = [
        ("XML, against wechatpy", ours_xml, theirs_xml, 2.0),
        ("JSON, against wechatpy's XML", ours_json, theirs_xml, 2.5),
        ("XML, against bare decrypt + ElementTree", ours_xml, floor_xml, None),
        ("JSON, against bare decrypt + json.loads", ours_json, floor_json, None),
    ]
    rows = [Row(what, ours, peer, "µs", peer / ours, goal) for what, ours, peer, goal in compared]
    return [Section("Receive path", NOTE, COMPARISON, [row.cells() for row in rows])]
