"""media/upload and media/get (docs/wechat-api.md, section 10)."""

import json
from typing import Any

from wechat_kf_local.simulator.api.calls import Call
from wechat_kf_local.simulator.api.replies import Reply
from wechat_kf_local.simulator.rules.refusals import Refused
from wechat_kf_local.simulator.world import World, picture_url


def upload(world: World, call: Call) -> dict[str, Any]:
    # A file name written only as filename*= (RFC 2231) is one WeChat does not see.
    if call.upload is None or not call.upload.named:
        raise Refused(41005)
    media = world.media.add(call.query.get("type", ""), call.upload.content)
    return {"type": media.kind, "media_id": media.media_id, "created_at": int(media.created_at)}


def download(world: World, call: Call) -> Reply:
    media_id = call.query.get("media_id", "")
    if not media_id:
        raise Refused(41006)
    media = world.media.find(media_id)
    if media.kind == "video":
        link = {"video_url": picture_url(call.base_url, media_id)}
        return Reply(json.dumps(link).encode(), content_type="text/plain")
    suffix = media.content_type.rpartition("/")[2]
    disposition = f'attachment; filename="{media_id}.{suffix}"'
    return Reply(media.content, media.content_type, headers={"Content-disposition": disposition})
