// The generated client, strictly typed, on a stack: register, read back, be refused, answer a buyer.
import { AwsClient } from "aws4fetch";
import { client } from "./client/client.gen";
import type { Problem } from "./client";
import { listMerchants, readMessage, registerMerchant, sendMessage } from "./client";

const env = process.env as Record<string, string>;
const aws = new AwsClient({
  accessKeyId: env.AWS_ACCESS_KEY_ID,
  secretAccessKey: env.AWS_SECRET_ACCESS_KEY,
  service: "execute-api",
  region: env.AWS_REGION,
});
client.setConfig({ baseUrl: env.WECHAT_KF_API_URL, fetch: aws.fetch.bind(aws) as typeof fetch });

/** What we refuse is a Problem; what API Gateway refuses has a message only. */
function problem(error: unknown): Problem {
  if (typeof error === "object" && error !== null && "code" in error) return error as Problem;
  throw error;
}

async function walk(): Promise<void> {
  const registered = await registerMerchant({
    body: { external_id: env.EXTERNAL_ID, nickname: "类型旗舰店", icon: env.ICON },
  });
  const businessId = registered.data!.business_id;
  const found = await listMerchants({ query: { external_id: env.EXTERNAL_ID } });
  const names = found.data!.items.map((item) => item.nickname);

  const path = { business_id: businessId };
  const refused = await sendMessage({ path, body: { openid: "o", message: { type: "text", text: "" } } });
  const stranger = await sendMessage({
    path,
    headers: { "Idempotency-Key": "1" },
    body: { openid: "oNobodyWroteYet00000000000000", message: { type: "text", text: "您好" } },
  });
  const missing = await readMessage({ path: { ...path, message_id: "1795712430874s368467044ce5b0x" } });
  console.log(
    JSON.stringify({
      status: registered.response!.status,
      names,
      field: problem(refused.error).field,
      stranger: problem(stranger.error).code,
      missing: problem(missing.error).status,
    }),
  );
}

walk().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
