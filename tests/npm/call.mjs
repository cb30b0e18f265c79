// npm's `co-wechat-api` as a client: token, text, upload, image.
import WeChatAPI from "co-wechat-api";

const [url, appid, secret, openid, picture] = process.argv.slice(2);
const api = new WeChatAPI(appid, secret);
api.prefix = `${url}/cgi-bin/`;
const { accessToken } = await api.getAccessToken();
const text = await api.sendText(openid, "您好，这里是“同行”的客户端。");
const uploaded = await api.uploadImageMedia(picture);
const image = await api.sendImage(openid, uploaded.media_id);
console.log(JSON.stringify({ token: accessToken.length > 100, text, type: uploaded.type, image }));
