// npm's `wechat` as a server: prints each message that it has read, and answers "success".
import http from "node:http";
import wechat from "wechat";

const [appid, token, encodingAESKey] = process.argv.slice(2);
const config = { appid, token, ...(encodingAESKey && { encodingAESKey }) };
const handle = wechat(config, (request, response) => {
  console.log(JSON.stringify(request.weixin));
  response.reply("");
});
const server = http.createServer((request, response) => {
  request.query = Object.fromEntries(new URL(request.url, "http://localhost").searchParams);
  handle(request, response, (error) => {
    console.error(error);
    response.writeHead(500).end();
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
