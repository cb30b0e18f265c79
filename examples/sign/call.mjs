// npm install aws4fetch
import { AwsClient } from "aws4fetch";

const { WECHAT_KF_API_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
const aws = new AwsClient({
  accessKeyId: AWS_ACCESS_KEY_ID,
  secretAccessKey: AWS_SECRET_ACCESS_KEY,
  sessionToken: AWS_SESSION_TOKEN,
  service: "execute-api",
  region: AWS_REGION,
});
const response = await aws.fetch(`${WECHAT_KF_API_URL}/merchants?limit=5`);
console.log(await response.text());
