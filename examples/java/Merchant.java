import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A merchant's back end by the JDK alone: receive, verify, discard duplicates, answer.
 *
 *   javac -d out ../webhooks/Verify.java SignedCall.java Merchant.java
 *   WEBHOOK_SECRET=whsec_… WECHAT_KF_API_URL=https://… PORT=8080 java -cp out Merchant
 *
 * The AWS credentials come from the environment; they need `execute-api:Invoke` on this merchant's
 * paths only. A real service reads JSON with a library; here two members are all that is needed.
 */
public final class Merchant {
    private static final Set<String> SEEN = ConcurrentHashMap.newKeySet();
    private static final ExecutorService LATER = Executors.newSingleThreadExecutor();

    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.createContext("/wechat", exchange -> {
            try (exchange) {
                exchange.sendResponseHeaders(receive(exchange), -1);
            }
        });
        server.start();
    }

    private static int receive(HttpExchange exchange) throws java.io.IOException {
        byte[] body = exchange.getRequestBody().readAllBytes();
        var headers = exchange.getRequestHeaders();
        String id = headers.getFirst("webhook-id");
        try {
            if (!Verify.verify(System.getenv("WEBHOOK_SECRET"), id, headers.getFirst("webhook-timestamp"),
                    headers.getFirst("webhook-signature"), body)) {
                return 401;
            }
        } catch (Exception error) {
            return 500;
        }
        String event = new String(body, StandardCharsets.UTF_8);
        if (SEEN.add(id) && "wechat.kf.message.received".equals(member(event, "type"))) {
            LATER.submit(() -> answer(id, event)); // after the response: five seconds always suffice
        }
        return 204;
    }

    private static void answer(String id, String event) {
        String url = System.getenv("WECHAT_KF_API_URL") + "/merchants/" + member(event, "business_id") + "/messages";
        String body = "{\"openid\": \"" + member(event, "openid")
                + "\", \"message\": {\"type\": \"text\", \"text\": \"收到，马上回复您。\"}}";
        try {
            // The event's id as the key: an answer that is sent twice is one.
            var headers = Map.of("Content-Type", "application/json", "Idempotency-Key", id);
            var response = SignedCall.send("POST", url, body, headers);
            if (response.statusCode() >= 300) {
                System.err.println(response.statusCode() + " " + response.body());
            }
        } catch (Exception error) {
            System.err.println(error);
        }
    }

    private static String member(String event, String name) {
        Matcher found = Pattern.compile("\"" + name + "\":\\s*\"([^\"\\\\]*)\"").matcher(event);
        return found.find() ? found.group(1) : "";
    }
}
