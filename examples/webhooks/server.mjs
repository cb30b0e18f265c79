import express from "express";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const raw = express.raw({ type: "*/*", limit: "1mb" }); // an event can have 256 KiB
express().post("/wechat", raw, async (request, response) => {
  let event;
  try {
    event = webhook.verify(request.body.toString(), request.headers);
  } catch {
    return response.sendStatus(401);
  }
  await queue.put(event); // your own
  response.sendStatus(204);
}).listen(Number(process.env.PORT ?? 8080));
