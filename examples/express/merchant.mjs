// A merchant's back end in Express: receive, verify, discard duplicates, answer.
//
//   npm install express standardwebhooks aws4fetch
//   WEBHOOK_SECRET=whsec_… WECHAT_KF_API_URL=https://… PORT=8080 node merchant.mjs
//
// The AWS credentials come from the environment; they need `execute-api:Invoke` on this merchant's paths only.

import { AwsClient } from "aws4fetch";
import express from "express";
import { Webhook } from "standardwebhooks";

const { WECHAT_KF_API_URL, WEBHOOK_SECRET, AWS_REGION, PORT = "8080" } = process.env;
const webhook = new Webhook(WEBHOOK_SECRET);
const aws = new AwsClient({
  accessKeyId: process.env.AWS_ACCESS_KEY_ID,
  secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY,
  sessionToken: process.env.AWS_SESSION_TOKEN,
  service: "execute-api",
  region: AWS_REGION,
});
const seen = new Set(); // of one process; a table of yours with a unique key, if there are more

// An event can have 256 KiB.
express().post("/wechat", express.raw({ type: "*/*", limit: "1mb" }), (request, response) => {
  let event;
  try {
    event = webhook.verify(request.body.toString(), request.headers);
  } catch {
    return response.sendStatus(401);
  }
  response.sendStatus(204); // within five seconds; what follows takes its time
  if (seen.has(event.id)) return;
  seen.add(event.id);
  if (event.type === "wechat.kf.message.received") answer(event).catch(console.error);
}).listen(Number(PORT), "127.0.0.1");

async function answer({ id, data }) {
  const text = `收到：${data.message.text ?? "您的消息"}`;
  const response = await aws.fetch(`${WECHAT_KF_API_URL}/merchants/${data.business_id}/messages`, {
    method: "POST",
    // The event's id as the key: an answer that is sent twice is one.
    headers: { "content-type": "application/json", "idempotency-key": id },
    body: JSON.stringify({ openid: data.openid, message: { type: "text", text } }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
}
